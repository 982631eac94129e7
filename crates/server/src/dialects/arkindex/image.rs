//! Images, and where on them elements are. Arkindex has them behind IIIF servers, which cut and resize by the address; an image
//! that is a plain file is answered whole, and of a part of one no address is answered: a worker would take the whole for it.

use axum::{Json, extract::State, http::StatusCode};
use runyard_domain::{
    FieldErrors,
    element::{NewImage, Polygon},
};
use runyard_engine::{self as engine, element::Element, image::Image as Row};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::refusal::Renamed;
use crate::{app::App, auth::Caller, body::Valid, error::Problem};

/// What names of image files end with.
const FILES: [&str; 10] = ["jpg", "jpeg", "png", "tif", "tiff", "gif", "webp", "bmp", "jp2", "pgm"];

#[derive(Serialize)]
pub(super) struct Zone {
    id: String,
    polygon: Vec<[i64; 2]>,
    url: Option<String>,
    image: Image,
}

#[derive(Serialize)]
pub(super) struct Image {
    id: String,
    path: String,
    url: String,
    s3_url: Option<String>,
    width: Option<i64>,
    height: Option<i64>,
    status: &'static str,
    server: ImageServer,
}

#[derive(Serialize)]
struct ImageServer {
    display_name: String,
    url: String,
    max_width: Option<i64>,
    max_height: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ArkindexNewIiifImage)]
pub(super) struct NewUrl {
    url: String,
}

/// Names an image by the address of its IIIF server; nothing is fetched, so its size stays unknown unless it was said before.
pub(super) async fn create_iiif(
    State(app): State<App>,
    Caller(actor): Caller,
    Valid(new): Valid<NewUrl>,
) -> Result<(StatusCode, Json<Image>), Problem> {
    let url = new.url.trim_end_matches('/').trim_end_matches("/info.json").to_owned();
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(
            FieldErrors::one("url", "must be an address of an IIIF server: http:// or https://").into()
        );
    }
    let image = NewImage { url: Some(url), ..NewImage::default() };
    let put = move |engine| async move { engine::image::put(&engine, &actor, None, vec![image]).await };
    let made = app.command(put).await.single("images", &[])?.pop();
    let made = made.ok_or_else(|| Problem::fault("an image was not named"))?;
    Ok((StatusCode::CREATED, Json(show(&made))))
}

/// Where an element is.
pub(super) fn zone(element: &Element, image: &Row) -> Zone {
    let whole = image.size().map(|(width, height)| Polygon::whole(width, height));
    let polygon = element.polygon.clone().or_else(|| whole.clone()).unwrap_or_default();
    Zone {
        id: element.id.to_string(),
        url: part(image, element.polygon.as_ref(), whole.as_ref()),
        polygon: polygon.0,
        image: show(image),
    }
}

/// The address of a part of an image (`None`: of all of it), where its server can cut it out.
fn part(image: &Row, polygon: Option<&Polygon>, whole: Option<&Polygon>) -> Option<String> {
    let all = polygon.is_none() || polygon.map(Polygon::outline) == whole.map(Polygon::outline);
    if !is_iiif(&image.url) {
        return file(image).filter(|_| all);
    }
    let region = match polygon.and_then(Polygon::bounds).filter(|_| !all) {
        Some((x, y, width, height)) => format!("{x},{y},{width},{height}"),
        None => "full".to_owned(),
    };
    Some(format!("{}/{region}/full/0/default.jpg", image.url))
}

/// Where a plain file can be read as it is: by its address, or at its path by workers on the machine that has it.
fn file(image: &Row) -> Option<String> {
    if is_http(&image.url) {
        return Some(image.url.clone());
    }
    let path = image.url.strip_prefix("file://")?;
    let path = path.strip_prefix("localhost").unwrap_or(path);
    let path = runyard_domain::filter::decode(&path.replace('+', "%2B")).ok()?;
    path.starts_with('/').then_some(path)
}

fn is_http(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// Whether an address is one of an IIIF server: it says so, or at least does not end like a file.
fn is_iiif(url: &str) -> bool {
    if !is_http(url) {
        return false;
    }
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let ending = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
    path.contains("/iiif/") || !ending.is_some_and(|ending| FILES.contains(&ending))
}

fn show(image: &Row) -> Image {
    let (server, path) = match image.url.rsplit_once('/') {
        Some((server, path)) => (server.to_owned(), path.to_owned()),
        None => (String::new(), image.url.clone()),
    };
    let plain = || file(image).filter(|_| !is_iiif(&image.url));
    Image {
        id: image.id.to_string(),
        path,
        url: image.url.clone(),
        s3_url: image.s3_url.clone().or_else(plain),
        width: image.width,
        height: image.height,
        status: if image.size().is_some() { "checked" } else { "unchecked" },
        server: ImageServer {
            display_name: server.clone(),
            url: server,
            max_width: image.max_width,
            max_height: image.max_height,
        },
    }
}

#[cfg(test)]
mod tests {
    use runyard_domain::{ImageId, Millis, ProjectId};

    use super::*;

    fn image(url: &str) -> Row {
        Row {
            id: ImageId::new(Millis(1), [1; 10]),
            project_id: ProjectId::new(Millis(1), [1; 10]),
            url: url.to_owned(),
            width: Some(100),
            height: Some(50),
            s3_url: None,
            max_width: None,
            max_height: None,
            created_at: Millis(1),
        }
    }

    #[test]
    fn an_iiif_server_cuts_and_a_file_is_whole_or_has_no_address() {
        let whole = Polygon::whole(100, 50);
        let corner = Polygon(vec![[0, 0], [10, 0], [10, 20], [0, 20]]);
        let of = |url: &str, polygon: Option<&Polygon>| part(&image(url), polygon, Some(&whole));
        let iiif = "https://host/iiif/2/dir%2Fpage.jpg";
        assert_eq!(of(iiif, None), Some(format!("{iiif}/full/full/0/default.jpg")));
        assert_eq!(of(iiif, Some(&whole)), Some(format!("{iiif}/full/full/0/default.jpg")));
        assert_eq!(of(iiif, Some(&corner)), Some(format!("{iiif}/0,0,10,20/full/0/default.jpg")));
        assert_eq!(of("https://host/x", None).as_deref(), Some("https://host/x/full/full/0/default.jpg"));
        assert_eq!(of("https://host/page.JPG", None).as_deref(), Some("https://host/page.JPG"));
        assert_eq!(of("https://host/page.jpg", Some(&corner)), None);
        assert_eq!(of("file:///data/a%20b.png", Some(&whole)).as_deref(), Some("/data/a b.png"));
        assert_eq!(of("object://images/1.png", None), None);
    }

    #[test]
    fn a_plain_file_is_read_where_it_is() {
        assert_eq!(show(&image("file:///data/1.png")).s3_url.as_deref(), Some("/data/1.png"));
        assert_eq!(show(&image("https://host/1.png")).s3_url.as_deref(), Some("https://host/1.png"));
        assert_eq!(show(&image("https://host/iiif/1.png")).s3_url, None);
        assert_eq!(show(&image("https://host/iiif/1.png")).server.url, "https://host/iiif");
    }
}
