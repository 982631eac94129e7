//! The vectors are of the clients themselves: alipai 0.4.13 and oss2 2.19.1, signing with the secret `testsecret`.

use axum::http::Request;

use super::*;

/// When the vectors were made: Sat, 21 Nov 2026 21:24:27 GMT.
const THEN: Millis = Millis(1_795_296_267_000);
const DATE: &str = "Sat, 21 Nov 2026 21:24:27 GMT";

fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// The logs of a job, as the SDK asks for them.
fn logs(uri: &str, signature: &str) -> Parts {
    let authorization = format!("acs testid:{signature}");
    parts(
        "GET",
        uri,
        &[
            ("host", "http://127.0.0.1:18080"),
            ("accept", "application/json"),
            ("date", "Sat, 21 Nov 2026 21:24:31 GMT"),
            ("x-acs-signature-nonce", "d452d7443e72f41673e98226bbee5dbb"),
            ("x-acs-signature-method", "HMAC-SHA1"),
            ("x-acs-signature-version", "1.0"),
            ("x-acs-version", "2022-01-12"),
            ("x-acs-action", "ListTrainingJobLogs"),
            ("x-acs-credentials-provider", "static_ak"),
            ("authorization", &authorization),
        ],
    )
}

const LOGS: &str = "/api/v1/trainingjobs/train5daf43f459/logs?PageNumber=2&PageSize=20";
const OF_LOGS: &str = "EUjS++psk4+hcdQ3NPRxSoRWlTc=";

fn oss_put(key: &str, date: &str) -> Parts {
    parts(
        "PUT",
        &format!("/mybucket/{key}"),
        &[
            ("date", date),
            ("content-type", "text/x-python"),
            ("authorization", "OSS testid:MqhLGYQ3V8mpk/L+uxW0KYTk4rs="),
        ],
    )
}

const MAIN: &str = "pai%2Fprocessing_src%2Fprocessing_20261121_212427%2Fmain.py";

fn said(refused: Result<(), Refused>) -> String {
    refused.unwrap_err().to_string()
}

#[test]
fn a_request_of_the_sdk_without_a_body_is_taken() {
    verify_acs(&logs(LOGS, OF_LOGS), "testsecret", THEN).unwrap();
}

#[test]
fn parameters_are_signed_by_name_whatever_their_order() {
    let turned = "/api/v1/trainingjobs/train5daf43f459/logs?PageSize=20&PageNumber=2";
    verify_acs(&logs(turned, OF_LOGS), "testsecret", THEN).unwrap();
    // Values are signed decoded.
    let encoded = "/api/v1/trainingjobs/train5daf43f459/logs?PageNumber=%32&PageSize=20";
    verify_acs(&logs(encoded, OF_LOGS), "testsecret", THEN).unwrap();
}

#[test]
fn a_create_of_the_sdk_is_taken() {
    let create = parts(
        "POST",
        "/api/v1/trainingjobs",
        &[
            ("accept", "application/json"),
            ("date", DATE),
            ("content-type", "application/json; charset=utf-8"),
            ("x-acs-signature-nonce", "5577018234c91f5f2c6bcf038869b7f1"),
            ("x-acs-signature-method", "HMAC-SHA1"),
            ("x-acs-signature-version", "1.0"),
            ("x-acs-version", "2022-01-12"),
            ("x-acs-action", "CreateTrainingJob"),
            ("x-acs-credentials-provider", "static_ak"),
            ("authorization", "acs testid:Xtw8bqUgaWAJupW95568+L6OvvE="),
        ],
    );
    verify_acs(&create, "testsecret", THEN).unwrap();
}

#[test]
fn what_is_not_as_it_was_signed_is_refused_with_what_the_server_signed() {
    let other = "/api/v1/trainingjobs/train5daf43f459/logs?PageNumber=3&PageSize=20";
    let refused = said(verify_acs(&logs(other, OF_LOGS), "testsecret", THEN));
    assert!(refused.contains("check the secret") && refused.contains("PageNumber=3"), "{refused}");
    let mut deleted = logs(LOGS, OF_LOGS);
    deleted.method = Method::DELETE;
    assert!(verify_acs(&deleted, "testsecret", THEN).is_err());
    for wrong in ["", "AAAA", "no base64!", "EUjS++psk4+hcdQ3NPRxSoRWlTd="] {
        assert!(
            matches!(verify_acs(&logs(LOGS, wrong), "testsecret", THEN), Err(Refused::Mismatch { .. })),
            "{wrong}"
        );
    }
    let refused = said(verify_acs(&logs(LOGS, OF_LOGS), "other", THEN));
    assert!(!refused.contains("other"), "{refused}");
}

#[test]
fn a_clock_may_be_fifteen_minutes_wrong_and_no_more() {
    let signed = THEN.plus(4_000);
    for near in [-WINDOW_MS, 0, WINDOW_MS] {
        verify_acs(&logs(LOGS, OF_LOGS), "testsecret", signed.plus(near)).unwrap();
    }
    for far in [-WINDOW_MS - 1, WINDOW_MS + 1] {
        let refused = said(verify_acs(&logs(LOGS, OF_LOGS), "testsecret", signed.plus(far)));
        assert!(refused.contains("2026-11-21T21:24:31Z") && refused.contains("set the clock"), "{refused}");
    }
}

#[test]
fn what_cannot_be_checked_is_said_with_what_can() {
    let with = |name: &'static str, value: &'static str| {
        let mut parts = logs(LOGS, OF_LOGS);
        if value.is_empty() {
            parts.headers.remove(name);
        } else {
            parts.headers.insert(name, value.parse().unwrap());
        }
        said(verify_acs(&parts, "testsecret", THEN))
    };
    assert!(with("authorization", "").contains("runyard token create --name NAME --access-key"));
    assert!(with("authorization", "ACS3-HMAC-SHA256 Credential=x").contains("`ACS3-HMAC-SHA256` is a form"));
    assert!(with("authorization", "acs nobody").contains("`acs ACCESS_KEY_ID:SIGNATURE`"));
    assert!(with("x-acs-signature-method", "HMAC-SHA256").contains("x-acs-signature-method: HMAC-SHA256"));
    assert!(with("date", "").contains("says no time"));
    assert!(with("date", "yesterday").contains("`yesterday` is no time that `date` may be"));
    assert!(with("x-acs-signature-nonce", "").contains("x-acs-signature-nonce"));
}

#[test]
fn an_upload_of_oss2_is_taken_and_only_for_the_key_that_was_signed() {
    verify_oss(&oss_put(MAIN, DATE), None, "testsecret", THEN).unwrap();
    // The same key, written the way other clients do.
    verify_oss(&oss_put(&MAIN.replace("%2F", "/"), DATE), None, "testsecret", THEN).unwrap();
    assert!(verify_oss(&oss_put("pai%2Fother.py", DATE), None, "testsecret", THEN).is_err());
    let late = THEN.plus(WINDOW_MS + 1);
    assert!(matches!(
        verify_oss(&oss_put(MAIN, DATE), None, "testsecret", late),
        Err(Refused::Skewed { .. })
    ));
}

#[test]
fn a_bucket_in_the_host_is_signed_as_one_in_the_path() {
    let mut hosted = oss_put(MAIN, DATE);
    hosted.uri = format!("/{MAIN}").parse().unwrap();
    verify_oss(&hosted, Some("mybucket"), "testsecret", THEN).unwrap();
    assert!(verify_oss(&hosted, Some("another"), "testsecret", THEN).is_err());
}

#[test]
fn only_subresources_and_headers_of_oss_are_signed() {
    let begin = parts(
        "POST",
        "/mybucket/k%2Fl?uploads=",
        &[
            ("date", DATE),
            ("content-type", "application/octet-stream"),
            ("x-oss-forbid-overwrite", "true"),
            ("authorization", "OSS testid:zb+X2gX6uxtnLoNTqqlvUKCcVsU="),
        ],
    );
    verify_oss(&begin, None, "testsecret", THEN).unwrap();
    let authorization = [("date", DATE), ("authorization", "OSS testid:2WYzYzY4T7uoqTdC4PRRdZ7q8do=")];
    let list = "/mybucket/?list-type=2&prefix=a%2F&continuation-token=t%3D&max-keys=100";
    verify_oss(&parts("GET", list, &authorization), None, "testsecret", THEN).unwrap();
    // Without the `/` that a bucket is signed with.
    let list = list.replace("mybucket/", "mybucket");
    verify_oss(&parts("GET", &list, &authorization), None, "testsecret", THEN).unwrap();
    let authorization = [("date", DATE), ("authorization", "OSS testid:u2Tzlg0ijFfjTFO7XJ9Koq5p7G4=")];
    verify_oss(&parts("GET", "/?prefix=a%2F", &authorization), None, "testsecret", THEN).unwrap();
    assert!(SUBRESOURCES.is_sorted());
}

#[test]
fn a_signed_address_is_taken_until_it_expires() {
    let get = "/mybucket/dir%2F%C3%BC%20x%2By.txt?response-content-type=text%2Fplain&prefix=a\
               &OSSAccessKeyId=testid&Expires=1795296867&Signature=1G%2FNQvWgqhr35sKGjkQ6nGyeQCU%3D";
    verify_oss(&parts("GET", get, &[]), None, "testsecret", THEN).unwrap();
    let refused = said(verify_oss(&parts("GET", get, &[]), None, "testsecret", Millis(1_795_296_867_000)));
    assert!(refused.contains("expired at 2026-11-21T21:34:27Z"), "{refused}");
    // What the answer's headers will say is signed too.
    let altered = get.replace("plain", "html");
    assert!(verify_oss(&parts("GET", &altered, &[]), None, "testsecret", THEN).is_err());
    let longer = get.replace("1795296867", "1895296867");
    assert!(verify_oss(&parts("GET", &longer, &[]), None, "testsecret", THEN).is_err());
    let put = "/mybucket/a%20b%2Fc.txt?OSSAccessKeyId=testid&Expires=1795296867&Signature=6CoZHf09QmS5oxpCUQjlJ%2FmEkrI%3D";
    let headers = [("content-type", "text/plain"), ("x-oss-meta-k", "v")];
    verify_oss(&parts("PUT", put, &headers), None, "testsecret", THEN).unwrap();
    assert!(verify_oss(&parts("GET", put, &headers), None, "testsecret", THEN).is_err());
}

#[test]
fn what_the_object_store_cannot_check_is_said() {
    let refused = said(verify_oss(&parts("GET", "/b/k", &[]), None, "s", THEN));
    assert!(refused.contains("not signed"), "{refused}");
    let newer = parts("GET", "/b/k", &[("authorization", "OSS4-HMAC-SHA256 Credential=x")]);
    assert!(said(verify_oss(&newer, None, "s", THEN)).contains("`OSS4-HMAC-SHA256` is a form"));
    let newer = parts("GET", "/b/k?x-oss-signature-version=OSS4-HMAC-SHA256", &[]);
    assert!(said(verify_oss(&newer, None, "s", THEN)).contains("`OSS4-HMAC-SHA256` is a form"));
    let never = parts("GET", "/b/k?OSSAccessKeyId=a&Signature=b&Expires=soon", &[]);
    assert!(said(verify_oss(&never, None, "s", THEN)).contains("`soon` is no time that `Expires` may be"));
}

#[test]
fn each_refusal_has_the_codes_of_both_apis() {
    let codes = |make: fn() -> Refused| {
        let (acs, oss) = (make().acs(), make().oss());
        (acs.status.as_u16(), acs.code, oss.status.as_u16(), oss.code)
    };
    let unknown = codes(|| Refused::UnknownKey("x".into()));
    assert_eq!(unknown, (404, "InvalidAccessKeyId.NotFound", 403, "InvalidAccessKeyId"));
    let wrong = codes(|| Refused::Mismatch { signed: "GET".into() });
    assert_eq!(wrong, (400, "SignatureDoesNotMatch", 403, "SignatureDoesNotMatch"));
    let skewed = codes(|| Refused::Skewed { at: Millis(0), now: THEN });
    assert_eq!(skewed, (400, "InvalidTimeStamp.Expired", 403, "RequestTimeTooSkewed"));
    let again = codes(|| Refused::NonceUsed("n".into()));
    assert_eq!(again, (400, "SignatureNonceUsed", 403, "AccessDenied"));
    let busy = codes(|| Refused::Engine(engine::Error::Busy("full".into())));
    assert_eq!(busy, (503, "busy", 503, "busy"));
}
