//! What the server's store of objects wants of those who send.

use runyard_domain::ChecksumKind;
use runyard_wire::object::ObjectStore;

use crate::{Client, Error};

impl Client {
    /// Which digest binds what is sent. Asked once: a client and its clones remember it.
    pub async fn object_checksum(&self) -> Result<ChecksumKind, Error> {
        let ask = async || {
            let store: ObjectStore = self.http.get(self.http.api(&["objects"])?).await?;
            ChecksumKind::read(&store.checksum).ok_or_else(|| Error::Unexpected {
                url: self.url().to_owned(),
                status: 200,
                why: format!(
                    "its objects are bound by `{}`, which this version does not know",
                    store.checksum
                ),
            })
        };
        self.checksum.get_or_try_init(ask).await.copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted_server;

    #[tokio::test]
    async fn a_server_is_asked_once_what_binds_its_objects() {
        let said = r#"{"data":{"checksum":"sha256"}}"#;
        let (url, asked) = scripted_server::start(vec![scripted_server::json("200 OK", said)]).await;
        let client = Client::new(&url, "t");
        for client in [client.clone(), client] {
            assert_eq!(client.object_checksum().await.unwrap(), ChecksumKind::Sha256);
        }
        assert!(asked.await.unwrap()[0].starts_with("get /api/v2/objects "));
    }

    #[tokio::test]
    async fn a_digest_of_a_newer_server_is_no_silence() {
        let said = r#"{"data":{"checksum":"blake9"}}"#;
        let (url, _) = scripted_server::start(vec![scripted_server::json("200 OK", said)]).await;
        let error = Client::new(&url, "t").object_checksum().await.unwrap_err();
        assert!(error.to_string().contains("blake9"), "{error}");
    }
}
