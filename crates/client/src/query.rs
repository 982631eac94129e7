//! Query parameters: lists are repeated keys, what is absent is left out.

use reqwest::Url;

/// Parameters in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Adds a parameter, if there is one.
    pub(crate) fn one(mut self, key: &'static str, value: Option<impl ToString>) -> Self {
        self.0.extend(value.map(|value| (key, value.to_string())));
        self
    }

    /// Adds a parameter for every value.
    pub(crate) fn each(mut self, key: &'static str, values: &[impl ToString]) -> Self {
        self.0.extend(values.iter().map(|value| (key, value.to_string())));
        self
    }

    /// `url` with these parameters.
    pub(crate) fn on(self, mut url: Url) -> Url {
        if !self.0.is_empty() {
            url.query_pairs_mut().extend_pairs(self.0);
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_value_does_not_become_a_list() {
        let url = "http://h/x".parse().unwrap();
        let url = Query::default().each("name_ilike", &["a,b", "%"]).one("limit", None::<i64>).on(url);
        assert_eq!(url.as_str(), "http://h/x?name_ilike=a%2Cb&name_ilike=%25");
    }
}
