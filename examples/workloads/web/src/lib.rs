//! An HTTP component that answers with what it sees of the pod it runs in:
//!
//! | path | answer |
//! |---|---|
//! | `/` | a greeting with the pod's name (`HOSTNAME`) and `GREETING` |
//! | `/env`, `/env/NAME` | the environment |
//! | `/file/PATH`, `/dir/PATH` | a file, the names in a directory |
//! | `PUT /file/PATH`, `DELETE /file/PATH` | writes or removes a file |
//! | `/healthz` | 200; 503 once the file that `UNHEALTHY_FILE` names is there |
//! | `/status/CODE`, `/sleep/MS`, `/burn/MS`, `/alloc/MIB`, `/panic` | as they say |
//!
//! Every request has an instance of its own, so nothing is remembered from one to the next but files.

use std::io::Write as _;

use wasip2::http::types::{Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam};

wasip2::http::proxy::export!(Web);

struct Web;

impl wasip2::exports::http::incoming_handler::Guest for Web {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default().to_owned();
        let _ = writeln!(wasip2::cli::stdout::get_stdout(), "{} {path}", method(&request));
        let (code, text) = answer(&request, &path);
        let response = OutgoingResponse::new(Fields::new());
        // Both can only fail if they are done twice, or with a code that HTTP does not have.
        if response.set_status_code(code).is_err() {
            let _ = response.set_status_code(500);
        }
        let Ok(body) = response.body() else { return };
        ResponseOutparam::set(out, Ok(response));
        let send = |mut stream: wasip2::io::streams::OutputStream| {
            stream.write_all(text.as_bytes()).is_ok() && std::io::Write::flush(&mut stream).is_ok()
        };
        // A client that went away needs no answer.
        if body.write().is_ok_and(send) {
            let _ = OutgoingBody::finish(body, None);
        }
    }
}

fn method(request: &IncomingRequest) -> &'static str {
    match request.method() {
        Method::Get => "GET",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        _ => "OTHER",
    }
}

fn answer(request: &IncomingRequest, path: &str) -> (u16, String) {
    let (verb, argument) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let number = argument.parse::<u64>().unwrap_or(0);
    let outcome = match (method(request), verb) {
        ("GET", "") => Ok(format!("hello from {} {}\n", guestfs::variable("HOSTNAME"), guestfs::variable("GREETING"))),
        ("GET", "env") if argument.is_empty() => {
            let all = wasip2::cli::environment::get_environment();
            Ok(all.iter().map(|(name, value)| format!("{name}={value}\n")).collect())
        }
        ("GET", "env") => Ok(guestfs::variable(argument)),
        ("GET", "file") => guestfs::read(&format!("/{argument}")).map(|b| String::from_utf8_lossy(&b).into_owned()),
        ("GET", "dir") => guestfs::list(&format!("/{argument}")).map(|names| names.join("\n")),
        ("PUT", "file") => {
            body(request).and_then(|b| guestfs::write(&format!("/{argument}"), &b)).map(|()| String::new())
        }
        ("DELETE", "file") => guestfs::remove(&format!("/{argument}")).map(|()| String::new()),
        ("GET", "healthz") => {
            let file = guestfs::variable("UNHEALTHY_FILE");
            if !file.is_empty() && guestfs::read(&file).is_ok() {
                return (503, "unhealthy\n".to_owned());
            }
            Ok("ok\n".to_owned())
        }
        (_, "status") => return (u16::try_from(number).unwrap_or(500), format!("{number}\n")),
        (_, "sleep") => {
            guestfs::sleep(number);
            Ok(String::new())
        }
        (_, "burn") => {
            guestfs::burn(number);
            Ok(String::new())
        }
        (_, "alloc") => Ok(format!("{}\n", guestfs::allocate(usize::try_from(number).unwrap_or(usize::MAX)).len())),
        (_, "panic") => panic!("asked to"),
        _ => return (404, "nothing here\n".to_owned()),
    };
    match outcome {
        Ok(text) => (200, text),
        Err(error) => (404, format!("{error}\n")),
    }
}

fn body(request: &IncomingRequest) -> Result<Vec<u8>, String> {
    let unreadable = |_| "the body cannot be read".to_owned();
    let body = request.consume().map_err(unreadable)?;
    let stream = body.stream().map_err(unreadable)?;
    let mut content = Vec::new();
    while let Ok(bytes) = stream.blocking_read(64 * 1024) {
        content.extend_from_slice(&bytes);
    }
    Ok(content)
}
