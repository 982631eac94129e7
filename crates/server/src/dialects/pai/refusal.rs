//! Refusals as PAI writes them: an object with `Code` and `Message`, whatever happens. The SDK raises anything else as a fault of
//! its own, without the words.

use axum::{
    http::{HeaderMap, Method, StatusCode},
    response::Response,
};
use serde_json::json;

use crate::error::Problem;

/// The code by which the SDK knows that there is no log yet: with any other one it gives up a run that may be going well.
pub(super) const NO_LOG_YET: &str = "TRAINING_JOB_INSTANCE_NOT_FOUND";

/// The body of a refusal.
pub(crate) fn written(problem: Problem, request_id: &str) -> (&'static str, String) {
    let message = match &problem.errors {
        Some(errors) => {
            let one = |(path, messages): (&String, &Vec<String>)| format!("{path}: {}", messages.join("; "));
            errors.iter().map(one).collect::<Vec<_>>().join("; ")
        }
        None => problem.message,
    };
    let body = json!({
        "Code": code(problem.code), "Message": message, "RequestId": request_id, "HostId": "runyard",
    });
    ("application/json", body.to_string())
}

/// PAI's word for one of ours; what is a word of PAI's already stays.
fn code(ours: &str) -> &str {
    match ours {
        "invalid" | "invalid_json" | "bad_request" => "InvalidParameter",
        "not_found" => "NotFound",
        "conflict" => "InvalidStatus",
        "unauthorized" => "IncompleteSignature",
        "forbidden" => "Forbidden.RAM",
        "too_large" => "EntityTooLarge",
        "busy" => "ServiceUnavailable",
        "internal" => "InternalError",
        "unsupported_media_type" => "UnsupportedMediaType",
        other => other,
    }
}

/// What a fault of this server is for who reads a log: the SDK gives up a run at the first refusal that it does not know, and
/// asks again when there is no log yet.
pub(super) fn no_log_yet(fault: &Response) -> Problem {
    let why = fault.extensions().get::<Problem>().map(|problem| format!("{problem:?}"));
    tracing::warn!("a log cannot be read now: {}", why.unwrap_or_else(|| fault.status().to_string()));
    Problem::new(StatusCode::NOT_FOUND, NO_LOG_YET, "the log cannot be read now: ask again")
}

/// PAI says 400 of what is wrong in a request.
pub(super) async fn known_status(mut response: Response) -> Response {
    if let Some(problem) = response.extensions_mut().get_mut::<Problem>()
        && problem.status == StatusCode::UNPROCESSABLE_ENTITY
    {
        problem.status = StatusCode::BAD_REQUEST;
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response
}

/// Where a field of a new run comes from in `CreateTrainingJob`.
const FIELDS: [(&str, &str); 13] = [
    ("config", "HyperParameters"),
    ("labels", "Labels"),
    ("name", "TrainingJobName"),
    ("resources", "ComputeResource"),
    ("spec.command", "AlgorithmSpec.Command"),
    ("spec.env", "Environments"),
    ("spec.image", "AlgorithmSpec.Image"),
    ("spec.inputs", "InputChannels"),
    ("spec.instance_type", "ComputeResource.EcsSpec"),
    ("spec.instances", "ComputeResource.EcsCount"),
    ("spec.max_run_time_s", "Scheduler.MaxRunningTimeInSeconds"),
    ("spec.metric_definitions", "AlgorithmSpec.MetricDefinitions"),
    ("spec.outputs", "OutputChannels"),
];

/// The same, with the names that were sent.
pub(super) fn renamed(mut problem: Problem) -> Problem {
    let sent = |path: String| {
        let rest =
            |ours: &str| path.strip_prefix(ours).filter(|rest| rest.is_empty() || rest.starts_with('.'));
        let found = FIELDS.iter().find_map(|(ours, theirs)| Some(format!("{theirs}{}", rest(ours)?)));
        found.unwrap_or_else(|| match path.strip_prefix("spec.requirements") {
            Some(rest) => format!("PythonRequirements{rest}"),
            None => path.clone(),
        })
    };
    problem.errors =
        problem.errors.map(|errors| errors.into_iter().map(|(path, said)| (sent(path), said)).collect());
    problem
}

/// The same, with PAI's code where there is no job.
pub(super) fn no_job(problem: Problem, id: &str) -> Problem {
    if problem.status == StatusCode::NOT_FOUND { super::id::no_job(id) } else { problem }
}

/// An operation that this server does not know.
pub(super) fn unknown_operation(method: &Method, path: &str, headers: &HeaderMap) -> Problem {
    let action =
        headers.get("x-acs-action").and_then(|action| action.to_str().ok()).unwrap_or("without a name");
    let (action, path): (String, String) =
        (action.chars().take(100).collect(), path.chars().take(200).collect());
    let message = format!("this server has no operation {action} ({method} {path})");
    Problem::new(StatusCode::NOT_FOUND, "InvalidAction.NotFound", message)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn body(problem: Problem) -> Value {
        serde_json::from_str(&written(problem, "r-1").1).unwrap()
    }

    #[test]
    fn a_refusal_is_an_object_with_code_message_and_request() {
        let shown = body(Problem::not_found("there is no job"));
        let wanted = json!({"Code": "NotFound", "Message": "there is no job", "RequestId": "r-1", "HostId": "runyard"});
        assert_eq!(shown, wanted);
    }

    #[test]
    fn every_wrong_field_is_in_the_message() {
        let shown = body(Problem::field("Scheduler.MaxRunningTimeInSeconds", "-1 is below 0"));
        assert_eq!(shown["Code"], "InvalidParameter");
        assert_eq!(shown["Message"], "Scheduler.MaxRunningTimeInSeconds: -1 is below 0");
    }

    #[test]
    fn a_fault_is_no_fault_of_a_log() {
        use axum::response::IntoResponse;
        let fault = Problem::fault("the disk is full").into_response();
        let shown = body(no_log_yet(&fault));
        assert_eq!(shown["Code"], "TRAINING_JOB_INSTANCE_NOT_FOUND");
        assert!(!shown["Message"].as_str().unwrap().contains("disk"));
    }

    #[test]
    fn fields_have_the_names_that_were_sent() {
        for (ours, theirs) in [
            ("spec.max_run_time_s", "Scheduler.MaxRunningTimeInSeconds"),
            ("spec.inputs.train", "InputChannels.train"),
            ("spec.requirements.0", "PythonRequirements.0"),
            ("spec.instances", "ComputeResource.EcsCount"),
            ("spec.instance_type", "ComputeResource.EcsSpec"),
            ("executor", "executor"),
        ] {
            let named = renamed(Problem::field(ours, "is wrong")).errors.unwrap();
            assert_eq!(named.into_keys().collect::<Vec<_>>(), [theirs]);
        }
    }

    #[test]
    fn an_unknown_operation_is_named() {
        let headers = HeaderMap::from_iter([("x-acs-action".parse().unwrap(), "Fly".parse().unwrap())]);
        let shown = body(unknown_operation(&Method::GET, "/api/v1/fly", &headers));
        assert_eq!(shown["Code"], "InvalidAction.NotFound");
        assert_eq!(shown["Message"], "this server has no operation Fly (GET /api/v1/fly)");
    }
}
