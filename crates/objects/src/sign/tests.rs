//! What was signed is allowed, and nothing else.

use std::sync::{Arc, OnceLock};

use proptest::{prelude::*, sample::Index};
use reqwest::header::HeaderValue;

use super::*;

const KEY: [u8; 32] = [7; 32];
const EXPIRES: Millis = Millis(2_000_000);
const BEFORE: Millis = Millis(1_999_999);

fn signed(request: &SignedRequest) -> Signed {
    let url = Arc::new(OnceLock::from("http://here:1".to_owned()));
    address(&FolderSigning { key: KEY, url }, request, EXPIRES).unwrap()
}

/// Path and query, as a server sees them.
fn target(signed: &Signed) -> &str {
    signed.url.strip_prefix("http://here:1").unwrap()
}

fn sent(signed: &Signed) -> HeaderMap {
    let header = |(name, value): &(String, String)| {
        (name.parse::<reqwest::header::HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    signed.headers.iter().map(header).collect()
}

fn put(part: Option<SignedPart>) -> SignedPut {
    let checksum = Some(Checksum::Md5([9; 16]));
    SignedPut { key: "runs/1/model.bin".to_owned(), size: Size::Exactly(12), checksum, part }
}

fn part() -> SignedPart {
    SignedPart { upload: "17-3-1-5242880".to_owned(), number: 2 }
}

#[track_caller]
fn denied(result: Result<SignedRequest, Error>) -> String {
    match result {
        Err(Error::Denied(sentence)) => sentence,
        other => panic!("not denied: {other:?}"),
    }
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 ._~%+&=?#/\\\\éß-]{1,20}".prop_filter("a key", |key| check_key(key).is_ok())
}

fn any_request() -> impl Strategy<Value = SignedRequest> {
    let get = (text(), proptest::option::of(text()), proptest::option::of(text())).prop_map(
        |(key, name, content_type)| SignedRequest::Get(SignedGet { key, get: GetAs { name, content_type } }),
    );
    let part = ("[0-9-]{1,20}", 1..10_000_i64).prop_map(|(upload, number)| SignedPart { upload, number });
    let size = prop_oneof![any::<u64>().prop_map(Size::Exactly), any::<u64>().prop_map(Size::AtMost)];
    let checksum = prop_oneof![
        Just(None),
        any::<[u8; 16]>().prop_map(|bytes| Some(Checksum::Md5(bytes))),
        any::<[u8; 32]>().prop_map(|bytes| Some(Checksum::Sha256(bytes))),
    ];
    let put = (text(), size, checksum, proptest::option::of(part))
        .prop_map(|(key, size, checksum, part)| SignedRequest::Put(SignedPut { key, size, checksum, part }));
    prop_oneof![get, put]
}

proptest! {
    #[test]
    fn what_was_signed_is_allowed(request in any_request()) {
        let signed = signed(&request);
        let verified = verify(&KEY, signed.method, target(&signed), &sent(&signed), BEFORE).unwrap();
        prop_assert_eq!(verified, request);
    }

    #[test]
    fn no_letter_can_be_changed(request in any_request(), at in any::<Index>(), letter in "[ -~]") {
        let signed = signed(&request);
        let mut letters: Vec<char> = target(&signed).chars().collect();
        let at = at.index(letters.len());
        letters[at] = letter.chars().next().unwrap();
        let altered: String = letters.into_iter().collect();
        match verify(&KEY, signed.method, &altered, &sent(&signed), BEFORE) {
            Err(Error::Denied(_)) => {}
            // `%2f` is `%2F`, and the last bits of base64 may say nothing.
            Ok(same) => prop_assert_eq!(same, request),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn whatever_comes_is_denied_and_never_a_panic(method in "GET|PUT|POST|", target in "\\PC{0,200}") {
        prop_assert!(verify(&KEY, &method, &target, &HeaderMap::new(), BEFORE).is_err());
    }
}

#[test]
fn each_field_is_bound() {
    let signed = signed(&SignedRequest::Put(put(Some(part()))));
    let (headers, good) = (sent(&signed), target(&signed).to_owned());
    for (from, to) in [
        ("model.bin", "other.bin"),
        ("runs/1", "runs/2"),
        ("expires=2000000", "expires=3000000"),
        ("size=12", "size=13"),
        ("md5=0909", "md5=0908"),
        ("upload=17-3", "upload=17-4"),
        ("part=2", "part=3"),
        ("&part=2", ""),
        ("&upload=17-3-1-5242880&part=2", ""),
        ("size=12", "size=12&size=13"),
        ("size=12", "max_size=12"),
        ("&md5=09090909090909090909090909090909", ""),
        ("&signature=", "&name=x&signature="),
        ("&signature=", "&signature=A"),
    ] {
        let altered = good.replace(from, to);
        assert_ne!(altered, good, "{from}");
        let sentence = denied(verify(&KEY, "PUT", &altered, &headers, BEFORE));
        assert!(sentence.contains("ask for a new one"), "{sentence}");
    }
    for method in ["GET", "HEAD", "POST", "DELETE", "put"] {
        denied(verify(&KEY, method, &good, &headers, BEFORE));
    }
    denied(verify(&[8; 32], "PUT", &good, &headers, BEFORE));
    verify(&KEY, "PUT", &good, &headers, BEFORE).unwrap();
}

#[test]
fn an_address_ends_with_its_time() {
    let request = SignedRequest::Get(SignedGet { key: "a".to_owned(), get: GetAs::default() });
    let signed = signed(&request);
    let at = |now| verify(&KEY, "GET", target(&signed), &HeaderMap::new(), now);
    at(BEFORE).unwrap();
    assert!(denied(at(EXPIRES)).contains("expired 0 s ago"));
    assert!(denied(at(EXPIRES.plus(61_000))).contains("expired 61 s ago"));
}

#[test]
fn who_may_read_may_ask_for_the_head() {
    let request = SignedRequest::Get(SignedGet { key: "a".to_owned(), get: GetAs::default() });
    let signed = signed(&request);
    assert_eq!(verify(&KEY, "HEAD", target(&signed), &HeaderMap::new(), BEFORE).unwrap(), request);
}

#[test]
fn a_client_may_escape_more_letters_than_we_did() {
    let request = SignedRequest::Get(SignedGet { key: "runs/~1".to_owned(), get: GetAs::default() });
    let signed = signed(&request);
    let escaped = target(&signed).replace('~', "%7e");
    assert_eq!(verify(&KEY, "GET", &escaped, &HeaderMap::new(), BEFORE).unwrap(), request);
}

#[test]
fn a_key_that_leaves_the_root_is_not_even_looked_at() {
    for path in
        ["/objects/../key", "/objects/%2e%2e/key", "/objects//etc/passwd", "/objects/.staging/1", "/objects/"]
    {
        denied(verify(
            &KEY,
            "GET",
            &format!("{path}?expires=2000000&signature=AAAA"),
            &HeaderMap::new(),
            BEFORE,
        ));
    }
}

#[test]
fn the_headers_of_a_put_must_be_those_that_were_signed() {
    let signed = signed(&SignedRequest::Put(put(None)));
    let with = |name: &'static str, value: Option<&str>| {
        let mut headers = sent(&signed);
        headers.remove(name);
        if let Some(value) = value {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        verify(&KEY, "PUT", target(&signed), &headers, BEFORE)
    };
    assert!(denied(with("content-md5", None)).contains("content-md5: CQkJ"));
    denied(with("content-md5", Some("AAAAAAAAAAAAAAAAAAAAAA==")));
    assert!(matches!(with("content-length", Some("13")), Err(Error::TooLarge { limit: 12 })));
    assert!(matches!(with("content-length", Some("11")), Err(Error::TooSmall { said: 12, got: 11 })));
    denied(with("content-length", Some("many")));
    with("content-length", None).unwrap();
}

#[test]
fn a_sha_256_is_said_as_s3_stores_read_it() {
    let bound = SignedPut { checksum: Some(Checksum::Sha256([9; 32])), ..put(None) };
    let signed = signed(&SignedRequest::Put(bound));
    let names: Vec<&str> = signed.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["content-length", "x-amz-checksum-sha256"]);
    verify(&KEY, "PUT", target(&signed), &sent(&signed), BEFORE).unwrap();
    assert!(denied(verify(&KEY, "PUT", target(&signed), &HeaderMap::new(), BEFORE)).contains("CQkJ"));
}

#[test]
fn who_may_send_anything_needs_no_header_and_stays_below_the_limit() {
    let any = SignedPut { size: Size::AtMost(12), checksum: None, ..put(None) };
    let signed = signed(&SignedRequest::Put(any));
    assert_eq!(signed.headers, []);
    let with = |length: &'static str| {
        let headers = [(CONTENT_LENGTH, HeaderValue::from_static(length))].into_iter().collect();
        verify(&KEY, "PUT", target(&signed), &headers, BEFORE)
    };
    with("12").unwrap();
    with("0").unwrap();
    assert!(matches!(with("13"), Err(Error::TooLarge { limit: 12 })));
}

#[test]
fn nothing_is_signed_before_the_server_listens() {
    let request = SignedRequest::Get(SignedGet { key: "a".to_owned(), get: GetAs::default() });
    let signing = FolderSigning { key: KEY, url: Arc::default() };
    let error = address(&signing, &request, EXPIRES).unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    assert!(!format!("{signing:?}").contains("7, 7"), "the key is never shown");
}

#[test]
fn any_name_can_be_saved_under() {
    assert_eq!(attachment("model.bin"), "attachment; filename=\"model.bin\"; filename*=UTF-8''model.bin");
    let odd = attachment("é\"\r\n;.txt");
    assert_eq!(odd, "attachment; filename=\"_____.txt\"; filename*=UTF-8''%C3%A9%22%0D%0A%3B.txt");
}
