//! The single-object way of foreign clients, and what a server that is killed on it leaves.

use runyard_store::both;

use super::{
    super::foreign::{
        Attributes, Claims, abort_parts, begin, begin_parts, complete_parts, put_again, sign_part, update,
        validate,
    },
    *,
};

impl Yard {
    /// A version that was begun, whose archive was sent.
    async fn arrived(&self, archive: &Archive) -> ModelVersion {
        let (version, put) = begin(&self.engine, &self.admin, "digits", Attributes::default()).await.unwrap();
        assert!(put.url.contains("/arriving/"), "{}", put.url);
        self.put_any(&version, archive.bytes()).await;
        version
    }

    async fn put_any(&self, version: &ModelVersion, bytes: Vec<u8>) {
        let key = format!("models/{}/{}/arriving/archive", version.model_id, version.id);
        let put = SignedPut { key, size: Size::AtMost(1 << 30), checksum: None, part: None };
        self.engine.objects.put_signed(&put, whole(bytes.into())).await.unwrap();
    }

    async fn validate(&self, id: ModelVersionId, claims: Claims) -> Result<ModelVersion> {
        validate(&self.engine, &self.admin, id, claims).await
    }
}

/// What a client says of these files, packed.
fn claims(archive: &Archive, content: &[u8]) -> Claims {
    use md5_of::md5;
    Claims {
        size: Some(archive.said.archive_size),
        content_md5: Some(md5(content)),
        archive_md5: Some(md5(&archive.bytes())),
    }
}

/// MD5 as the archive crate computes it: this crate has none of its own.
mod md5_of {
    pub(super) fn md5(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x"), bytes).unwrap();
        let survey = super::archive::survey(folder.path(), &super::ModelLimits::default()).unwrap();
        let mut packed = Vec::new();
        let options = super::PartOptions { part_size: 1 << 20, checksum: super::archive::Checksum::Sha256 };
        super::archive::pack(&survey, options, |part| {
            packed.extend_from_slice(&part.bytes);
            Ok(())
        })
        .unwrap();
        let limits = runyard_archive::Limits::default();
        let inspected = super::archive::inspect(&packed[..], &limits, Some(folder.path())).unwrap();
        inspected.content_md5.unwrap()
    }
}

both! {
    async fn what_was_sent_as_one_object_is_validated_by_size_and_hashes(db) {
        let yard = Yard::on(db).await;
        yard.model("digits").await;
        let archive = Archive::of(&[("a", b"1"), ("b", b"2")]);
        let right = claims(&archive, b"12");
        let (empty, _) = begin(&yard.engine, &yard.admin, "digits", Attributes::default()).await.unwrap();
        let said = fields(yard.validate(empty.id, right.clone()).await);
        assert_eq!(said["size"], ["Archive has not been uploaded"]);
        yard.put_any(&empty, archive.bytes()).await;
        let size = archive.said.archive_size;
        let longer = Claims { size: Some(size + 1), ..right.clone() };
        let said = fields(yard.validate(empty.id, longer).await);
        assert_eq!(said["size"], [format!("Uploaded file size is {size} bytes, expected {} bytes", size + 1)]);
        assert_eq!(yard.version(empty.id).await.state, State::Created, "it may be sent again");

        let done = yard.validate(empty.id, right.clone()).await.unwrap();
        assert_eq!((done.state, done.files), (State::Available, Some(2)));
        assert_eq!(done.content_md5, right.content_md5);
        assert_eq!(done.tree_digest.as_ref(), Some(&archive.said.tree_digest));
        assert_eq!(yard.validate(empty.id, right.clone()).await.unwrap(), done, "a repeat with equal values");
        let other = Claims { content_md5: Some("0".repeat(32)), ..right };
        assert!(fields(yard.validate(empty.id, other).await).contains_key("hash"));
        assert!(put_again(&yard.engine, &yard.admin, empty.id).await.unwrap().is_none(), "nothing is to be sent");
    }

    async fn wrong_hashes_fail_and_free_what_was_sent(db) {
        let yard = Yard::on(db).await;
        yard.model("digits").await;
        let archive = Archive::of(&[("a", b"1")]);
        let right = claims(&archive, b"1");
        let zeros = Some("0".repeat(32));
        for (wrong, field, words) in [
            (Claims { archive_md5: zeros.clone(), ..right.clone() }, "archive_hash", "of the uploaded archive is"),
            (Claims { content_md5: zeros, ..right.clone() }, "hash", "of the archive's contents is"),
        ] {
            let version = yard.arrived(&archive).await;
            let said = fields(yard.validate(version.id, wrong).await);
            assert_eq!(said.keys().collect::<Vec<_>>(), [field]);
            assert!(said[field][0].contains(words), "{said:?}");
            let failed = yard.version(version.id).await;
            assert!(failed.state == State::Error && failed.reason.unwrap().contains(words));
            assert_eq!(yard.stored().await, [] as [&str; 0]);
            let said = fields(yard.validate(version.id, right.clone()).await);
            assert!(said["state"][0].contains("not Error to Available"), "{said:?}");
        }
    }

    async fn the_same_content_is_a_conflict_that_names_the_version(db) {
        let yard = Yard::on(db).await;
        let model = yard.model("digits").await;
        let archive = Archive::of(&[("a", b"12")]);
        let first = yard.arrived(&archive).await;
        yard.validate(first.id, claims(&archive, b"12")).await.unwrap();
        // Other names and cuts of the same bytes: the client's system tells them apart by nothing.
        for same in [archive, Archive::of(&[("x", b"1"), ("y", b"2")])] {
            let again = yard.arrived(&same).await;
            for _ in 0..2 {
                let (word, existing) = refused(yard.validate(again.id, claims(&same, b"12")).await);
                assert_eq!((word, existing), ("same_content", first.id.to_string()));
            }
            delete_version(&yard.engine, &yard.admin, again.id).await.unwrap();
        }
        assert_eq!(yard.versions(&model).await.len(), 1);
        assert_eq!(yard.stored().await.len(), 1);
        let tagged = Attributes { tag: Some("v1".into()), parent: Some(first.id.to_string()), ..Attributes::default() };
        let updated = update(&yard.engine, &yard.admin, first.id, tagged).await.unwrap();
        assert_eq!((updated.tag.as_deref(), updated.parent_id), (Some("v1"), None), "it is not its own parent");
        let content = Attributes { archive_md5: Some("0".repeat(32)), ..Attributes::default() };
        assert_eq!(refused(update(&yard.engine, &yard.admin, first.id, content).await).0, "available");
    }

    async fn an_old_address_changes_nothing(db) {
        let yard = Yard::on(db).await;
        yard.model("digits").await;
        let archive = Archive::of(&[("a", b"1")]);
        let version = yard.arrived(&archive).await;
        let done = yard.validate(version.id, claims(&archive, b"1")).await.unwrap();
        yard.put_any(&version, b"something else".to_vec()).await;
        let (size, _) = yard.engine.objects.get_stream(&done.object_key).await.unwrap();
        assert_eq!(Some(size as i64), done.archive_size);
        yard.later(2 * 3600 * 1000);
        assert_eq!(yard.stored().await, [done.object_key], "what came late goes");
    }

    async fn a_server_that_was_killed_between_the_object_and_its_row_goes_on(db) {
        let yard = Yard::on(db).await;
        yard.model("digits").await;
        let archive = Archive::of(&[("a", b"1")]);
        let right = claims(&archive, b"1");
        let version = yard.arrived(&archive).await;
        // The row says where the object will be; the object is there, and the row knows nothing of that.
        let taken = format!("models/{}/{}/taken.tar.zst", version.model_id, version.id);
        let mut row = version.clone();
        row.object_key.clone_from(&taken);
        yard.engine.db.write(move |tx| store::model::version::save(tx, &row)).await.unwrap();
        yard.engine.objects.rename(&yard_key(&version), &taken).await.unwrap();
        let done = yard.validate(version.id, right.clone()).await.unwrap();
        assert_eq!((done.state, &done.object_key), (State::Available, &taken));

        let before = yard.arrived(&Archive::of(&[("b", b"2")])).await;
        // The row says it, and the object is where it arrived.
        let mut row = before.clone();
        row.object_key = format!("models/{}/{}/taken.tar.zst", before.model_id, before.id);
        yard.engine.db.write(move |tx| store::model::version::save(tx, &row)).await.unwrap();
        let done = yard.validate(before.id, Claims::default()).await.unwrap();
        assert_eq!(done.state, State::Available);
        assert_eq!(yard.stored().await.len(), 2);
    }

    async fn parts_of_any_size_are_joined_and_validated_by_what_was_said_before(db) {
        let yard = Yard::on(db).await;
        yard.model("digits").await;
        let archive = Archive::of(&[("a", &noise(10_000))]);
        let right = claims(&archive, &noise(10_000));
        let said = Attributes {
            archive_size: right.size, archive_md5: right.archive_md5.clone(), ..Attributes::default()
        };
        let (version, _) = begin(&yard.engine, &yard.admin, "digits", said).await.unwrap();
        let given_up = begin_parts(&yard.engine, &yard.admin, version.id).await.unwrap();
        abort_parts(&yard.engine, &yard.admin, version.id, &given_up).await.unwrap();
        abort_parts(&yard.engine, &yard.admin, version.id, &given_up).await.unwrap();
        let gone = sign_part(&yard.engine, &yard.admin, version.id, &given_up, 1, None).await;
        assert_eq!(refused(gone).0, "no_upload");
        let upload = begin_parts(&yard.engine, &yard.admin, version.id).await.unwrap();
        let mut parts = Vec::new();
        for (number, bytes) in (1..).zip(archive.bytes().chunks(4_000)) {
            sign_part(&yard.engine, &yard.admin, version.id, &upload, number, None).await.unwrap();
            let part = Some(SignedPart { upload: upload.clone(), number });
            let put = SignedPut { key: yard_key(&version), size: Size::AtMost(1 << 30), checksum: None, part };
            let etag = yard.engine.objects.put_signed(&put, whole(bytes.to_vec().into())).await.unwrap();
            parts.push((number, etag));
        }
        let complete = || complete_parts(&yard.engine, &yard.admin, version.id, &upload, parts.clone());
        complete().await.unwrap();
        complete().await.expect("a repeat");
        let done = yard.version(version.id).await;
        assert_eq!((done.state, done.archive_md5), (State::Available, right.archive_md5));
        assert_eq!(yard.stored().await, [done.object_key]);
    }
}

/// Where the archive of a version arrives.
fn yard_key(version: &ModelVersion) -> String {
    format!("models/{}/{}/arriving/archive", version.model_id, version.id)
}
