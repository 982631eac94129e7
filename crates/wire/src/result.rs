//! Results: what workers found about elements. The structs of the input are `domain`'s own; here is how they look in the
//! OpenAPI document, and how stored results are answered.

use runyard_domain::element::{ClassificationState, MetadataType, Orientation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

macro_rules! described {
    ($($(#[$doc:meta])* $name:ident as $title:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $($(#[$doc])*
        #[derive(Deserialize, ToSchema)]
        #[schema(as = $title)]
        #[expect(dead_code, reason = "only its schema is used")]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* $field: $type,)*
        })*
    };
}

described! {
    /// All that a worker found about one element: at most 10,000 results of all kinds, those of children included.
    ResultsSchema as Results {
        /// Classes that it belongs to, each at most once.
        #[serde(default)]
        #[schema(required = false)]
        classifications: Vec<ClassificationSchema>,
        /// Texts on it.
        #[serde(default)]
        #[schema(required = false)]
        transcriptions: Vec<TranscriptionSchema>,
        /// Metadata.
        #[serde(default)]
        #[schema(required = false)]
        metadata: Vec<MetadataSchema>,
        /// Elements that were found on it, in their order.
        #[serde(default)]
        #[schema(required = false)]
        children: Vec<ChildSchema>,
    }

    /// That an element belongs to a class.
    ClassificationSchema as NewClassification {
        /// Name of the class; made in the corpus when it is not there yet.
        class: String,
        /// From 0 to 1.
        confidence: f64,
        /// Whether the worker is sure; absent: no.
        #[serde(default)]
        #[schema(required = false)]
        high_confidence: bool,
        /// `pending` (when absent), `validated` or `rejected`.
        #[serde(default)]
        #[schema(required = false, value_type = String, pattern = "^(pending|validated|rejected)$")]
        state: String,
    }

    /// A text on an element.
    TranscriptionSchema as NewTranscription {
        /// The text: 1 to 100,000 characters.
        text: String,
        /// From 0 to 1.
        confidence: Option<f64>,
        /// `horizontal-lr` (when absent), `horizontal-rl`, `vertical-lr` or `vertical-rl`.
        #[serde(default)]
        #[schema(required = false, pattern = "^(horizontal|vertical)-(lr|rl)$")]
        orientation: String,
        /// Entities in it.
        #[serde(default)]
        #[schema(required = false)]
        entities: Vec<EntitySchema>,
    }

    /// An entity in a transcription.
    EntitySchema as NewEntity {
        /// Name of its type; made in the corpus when it is not there yet.
        r#type: String,
        /// Where it begins, in characters from the start of the text.
        offset: i64,
        /// How many characters it has.
        length: i64,
        /// Its name; absent: the text there.
        name: Option<String>,
        /// From 0 to 1.
        confidence: Option<f64>,
        /// Anything else that is known of it.
        metas: Option<Map<String, Value>>,
    }

    /// A named fact about an element.
    MetadataSchema as NewMetadata {
        /// `text`, `html`, `markdown`, `date`, `location`, `reference`, `numeric` or `url`.
        #[schema(pattern = "^(text|html|markdown|date|location|reference|numeric|url)$")]
        r#type: String,
        /// Name: 1 to 250 characters.
        name: String,
        /// Value: 1 to 20,000 characters.
        value: String,
    }

    /// An element that was found on another one.
    ChildSchema as NewChild {
        /// Slug of its type, which the corpus must have.
        r#type: String,
        /// Name: 1 to 250 characters.
        name: String,
        /// Points `[x, y]` on its parent's image, at least 3 different ones; what is between two pixels is rounded.
        polygon: Option<Vec<Vec<f64>>>,
        /// From 0 to 1.
        confidence: Option<f64>,
        /// Degrees, clockwise; absent: 0.
        #[serde(default)]
        #[schema(required = false)]
        rotation_angle: i64,
        /// Whether it is seen in a mirror; absent: no.
        #[serde(default)]
        #[schema(required = false)]
        mirrored: bool,
        /// Anything else: at most 64 KiB of JSON.
        payload: Option<Map<String, Value>>,
        /// What was found about it, and on it.
        #[schema(no_recursion)]
        results: Option<Box<ResultsSchema>>,
    }
}

/// A class of a corpus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Class {
    /// Id.
    pub id: String,
    /// Name, unique in its corpus.
    pub name: String,
}

/// That an element belongs to a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Classification {
    /// Id.
    pub id: String,
    /// Name of the class.
    pub class: String,
    /// Id of the class.
    pub class_id: String,
    /// From 0 to 1.
    pub confidence: f64,
    /// Whether the worker is sure.
    pub high_confidence: bool,
    /// What people said of it.
    #[schema(value_type = String)]
    pub state: ClassificationState,
    /// Who said it; absent: a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_run_id: Option<String>,
}

/// A text on an element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Transcription {
    /// Id.
    pub id: String,
    /// The text.
    pub text: String,
    /// From 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// How it is written.
    #[schema(value_type = String)]
    pub orientation: Orientation,
    /// Who said it; absent: a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_run_id: Option<String>,
    /// Entities in it, by offset.
    pub entities: Vec<TranscriptionEntity>,
}

/// An entity at a place of a transcription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TranscriptionEntity {
    /// Id.
    pub id: String,
    /// Id of the entity, which may be at other places too.
    pub entity_id: String,
    /// Name of the entity's type.
    #[serde(rename = "type")]
    pub of_type: String,
    /// Name of the entity.
    pub name: String,
    /// Where it begins, in characters.
    pub offset: i64,
    /// How many characters it has.
    pub length: i64,
    /// From 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Who said it; absent: a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_run_id: Option<String>,
}

/// A named fact about an element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Metadata {
    /// Id.
    pub id: String,
    /// What sort of value it is.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub of_type: MetadataType,
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
    /// The entity that it is about, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_id: Option<String>,
    /// Who said it; absent: a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_run_id: Option<String>,
}

/// Everything that was found about an element; its children are listed as elements.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ElementResults {
    /// Classifications, the oldest first.
    pub classifications: Vec<Classification>,
    /// Transcriptions, the oldest first.
    pub transcriptions: Vec<Transcription>,
    /// Metadata, the oldest first.
    pub metadata: Vec<Metadata>,
}
