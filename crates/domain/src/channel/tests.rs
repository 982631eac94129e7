//! What an address of a channel may be, and what is said of those that are none.

use proptest::prelude::*;

use super::*;

fn wrong(text: &str) -> String {
    Uri::parse(text).unwrap_err().to_string()
}

#[test]
fn every_kind_of_address_reads_back_as_it_was_written() {
    let digest = "ab".repeat(32);
    for text in [
        &format!("upload://{digest}"),
        &format!("upload://{digest}/a/b.csv"),
        "s3://bucket/train/",
        "s3://bucket/train/a b.csv",
        "s3://bucket/",
        "oss://bucket/a",
        "run://01890000-0000-7000-8000-000000000000/output/model",
        "run://my run/output/model/weights.bin",
        "run://r/output/model/deep/",
        "model://digits@v3",
        "model://digits",
        "checkpoint://r@10",
        "checkpoint://a@b@latest",
        "checkpoint://r@best",
        "dataset://books/train",
    ] {
        assert_eq!(Uri::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn a_slash_at_the_end_means_all_objects_below() {
    let place = |text: &str| match Uri::parse(text).unwrap() {
        Uri::S3(place) | Uri::Oss(place) => place,
        other => panic!("{other:?}"),
    };
    assert!(place("s3://bucket").is_prefix() && place("s3://bucket/a/").is_prefix());
    let one = place("s3://bucket/a/b.csv");
    assert!(!one.is_prefix());
    assert_eq!(one.name(), "b.csv");
    assert_eq!(place("oss://bucket.oss-cn-hangzhou.aliyuncs.com/a").bucket, "bucket");
}

#[test]
fn what_is_no_address_is_refused_with_the_form_of_one() {
    for (text, word) in [
        ("/data/train", "write s3://BUCKET/KEY"),
        ("ftp://host/x", "`ftp://` is not known here"),
        ("s3://ab/x", "`ab` is no name of a bucket"),
        ("s3://bucket//x", "it must be relative"),
        ("s3://bucket/a/../b", "`.` and `..` are not allowed"),
        ("s3://bucket//", "nothing between two"),
        ("upload://abc", "64 lowercase hex digits"),
        ("run://r", "run://RUN/output/NAME"),
        ("run://r/output/", "run://RUN/output/NAME"),
        ("run:///output/x", "run://RUN/output/NAME"),
        ("run://r/output/-x", "no name of a channel"),
        ("run://r/output/x/../y", "`.` and `..`"),
        ("model://a/b", "NAME@TAG"),
        ("checkpoint://r", "`latest` or `best`"),
        ("checkpoint://r@-1", "`latest` or `best`"),
        ("checkpoint://@latest", "`latest` or `best`"),
        ("dataset://", "dataset://NAME/SET"),
        ("s3://bucket/a\nb", "control characters"),
    ] {
        let error = wrong(text);
        assert!(error.contains("is no address of a channel") && error.contains(word), "{error}");
    }
    assert!(wrong(&format!("s3://bucket/{}", "x".repeat(3000))).contains("2048 are the most"));
}

#[test]
fn an_output_goes_to_a_prefix_of_a_bucket() {
    assert_eq!(Uri::parse_output("s3://bucket/out").unwrap().to_string(), "s3://bucket/out/");
    assert_eq!(Uri::parse_output("oss://bucket").unwrap().to_string(), "oss://bucket/");
    let error = Uri::parse_output("model://digits").unwrap_err().to_string();
    assert!(error.contains("nothing can be written to a model"), "{error}");
}

#[test]
fn names_of_channels_are_names_of_folders_and_of_variables() {
    let check = |names: &[&str]| {
        let mut errors = FieldErrors::default();
        let inputs = names.iter().map(|name| ((*name).to_owned(), "s3://bucket/".to_owned())).collect();
        check_inputs("spec.inputs", &inputs, &mut errors);
        errors.to_string()
    };
    let long = "x".repeat(64);
    assert_eq!(check(&["train", "_x", "0", "a.b-c", &long]), "");
    for name in ["", ".", "..", ".hidden", "-x", "a/b", "a b", "ä", &"x".repeat(65)] {
        let error = check(&[name]);
        assert!(error.contains("is no name of a channel"), "{name}: {error}");
    }
    assert!(
        check(&["a-b", "a_b"]).contains("spec.inputs.a_b: would have the same variable as `a-b` (..._A_B)")
    );
    let many: Vec<String> = (0..101).map(|n| format!("c{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(check(&many).contains("has 101 channels, and 100 are the most"));
}

#[test]
fn outputs_need_no_address() {
    let mut errors = FieldErrors::default();
    let outputs = [
        ("model", None),
        ("log", Some("s3://bucket/log")),
        ("bad", Some("run://r/output/x")),
        ("same", Some("s3://bucket/log/")),
    ];
    let outputs = outputs.map(|(name, uri)| (name.to_owned(), uri.map(str::to_owned))).into();
    check_outputs("spec.outputs", &outputs, &mut errors);
    assert_eq!(errors.0.keys().collect::<Vec<_>>(), ["spec.outputs.bad", "spec.outputs.same"]);
    assert!(errors.to_string().contains("goes to s3://bucket/log/ like `log`"), "{errors}");
}

proptest! {
    #[test]
    fn no_text_is_a_panic_and_what_is_read_reads_back(text in ".{0,80}") {
        if let Ok(uri) = Uri::parse(&text) {
            prop_assert_eq!(Uri::parse(&uri.to_string()).unwrap(), uri);
        }
    }

    #[test]
    fn no_address_leads_out_of_its_channel(
        scheme in "(s3|oss|run|upload)",
        path in "[a./]{0,12}",
    ) {
        let text = match scheme.as_str() {
            "run" => format!("run://r/output/x/{path}"),
            "upload" => format!("upload://{}/{path}", "0".repeat(64)),
            scheme => format!("{scheme}://bucket/{path}"),
        };
        let below = match Uri::parse(&text) {
            Ok(Uri::S3(place) | Uri::Oss(place)) => place.key,
            Ok(Uri::Run { path, .. }) => path.unwrap_or_default(),
            Ok(Uri::Upload { file, .. }) => file.unwrap_or_default(),
            _ => String::new(),
        };
        let parts: Vec<&str> = below.trim_end_matches('/').split('/').collect();
        prop_assert!(!parts.contains(&"..") && !parts.contains(&"."), "{}", text);
        prop_assert!(!below.starts_with('/'), "{}", text);
    }

    #[test]
    fn a_variable_has_only_letters_that_shells_know(name in ".{0,40}") {
        prop_assert!(variable(&name).chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
    }
}
