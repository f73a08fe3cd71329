use super::*;

fn rewrite() -> Rewrite {
    Rewrite::new("/api/v1/namespaces/n/pods/p/proxy", "10.1.2.3:80", "localhost:8001")
}

/// The page, fed in pieces of every size, must come out the same.
fn check(page: &str, expected: &str) {
    for size in 1..=page.len() {
        let mut rewriting = Page::new(rewrite());
        let mut out = Vec::new();
        for piece in page.as_bytes().chunks(size) {
            out.extend(rewriting.feed(piece));
        }
        out.extend(rewriting.finish());
        assert_eq!(String::from_utf8_lossy(&out), expected, "in pieces of {size}");
    }
}

#[test]
fn links_of_pages_lead_back_through_the_proxy() {
    let p = "/api/v1/namespaces/n/pods/p/proxy";
    check("<a href=\"/rewriteme\">test</a>", &format!("<a href=\"{p}/rewriteme\">test</a>"));
    check("<A class='x' HREF='/a?b=1&amp;c=2'>", &format!("<A class='x' HREF='{p}/a?b=1&amp;c=2'>"));
    check(
        "<img src=/i.png alt=\"a > b\"><p title=\"/no\">",
        &format!("<img src={p}/i.png alt=\"a > b\"><p title=\"/no\">"),
    );
    check("<a href=\"http://10.1.2.3:80/x/\">", &format!("<a href=\"{p}/x/\">"));
    check("<a href=\"//localhost:8001/y\">", &format!("<a href=\"{p}/y\">"));
    for same in [
        "<a href=\"relative\"> <a href=\"https://example.org/x\"> <a href=\"mailto:x@y\"> <a href=\"#top\">",
        "<!-- <a href=\"/comment\"> -->",
        "<script>if (a<b) x = '<a href=\"/s\">';</script>",
        "a < b <",
        "text without an end <a href=\"/x",
    ] {
        check(same, same);
    }
    check(&format!("<a href=\"{p}/x\">"), &format!("<a href=\"{p}/x\">"));
    check(
        "<script src=\"/s.js\"></script><link href=\"/c.css\">",
        &format!("<script src=\"{p}/s.js\"></script><link href=\"{p}/c.css\">"),
    );
}

#[tokio::test]
async fn redirects_and_compressed_pages_are_changed_too() {
    let response = Response::builder().status(302).header("location", "/login?a=b").body(Body::from("x")).unwrap();
    let response = rewrite().response(response).await;
    assert_eq!(response.headers()["location"], "/api/v1/namespaces/n/pods/p/proxy/login?a=b");

    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, b"<a href=\"/x\">").unwrap();
    let response = Response::builder()
        .header("content-type", "text/html; charset=utf-8")
        .header("content-encoding", "gzip")
        .header("access-control-allow-origin", "*")
        .body(Body::from(packed.finish().unwrap()))
        .unwrap();
    let response = rewrite().response(response).await;
    assert!(!response.headers().contains_key("content-encoding"));
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&*body, b"<a href=\"/api/v1/namespaces/n/pods/p/proxy/x\">");

    let json =
        Response::builder().header("content-type", "application/json").body(Body::from("\"<a href=/x>\"")).unwrap();
    let body = rewrite().response(json).await.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&*body, b"\"<a href=/x>\"");
}
