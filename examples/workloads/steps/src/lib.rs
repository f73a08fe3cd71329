//! A WASI command that does what its arguments say, one after the other:
//!
//! | argument | does |
//! |---|---|
//! | `print TEXT`, `warn TEXT` | writes a line to standard output, or to standard error |
//! | `env NAME` | prints an environment variable |
//! | `args` | prints all arguments, the command's name first |
//! | `cat PATH`, `ls PATH` | prints a file, or the names in a directory |
//! | `write PATH TEXT`, `remove PATH` | makes or removes a file |
//! | `count N MS` | prints 1 to N with a pause after each |
//! | `sleep MS`, `forever` | waits |
//! | `burn MS`, `alloc MIB` | uses the processor, or memory |
//! | `exit CODE` | ends at once |
//!
//! What cannot be done is said on standard error and ends the command with exit code 1.

use std::io::Write as _;

wasip2::cli::command::export!(Steps);

struct Steps;

impl wasip2::exports::cli::run::Guest for Steps {
    fn run() -> Result<(), ()> {
        let arguments = wasip2::cli::environment::get_arguments();
        run(&arguments).map_err(|error| warn(&error))
    }
}

fn print(text: &str) {
    // A workload whose output nobody takes has nobody to tell.
    let _ = writeln!(wasip2::cli::stdout::get_stdout(), "{text}");
}

fn warn(text: &str) {
    let _ = writeln!(wasip2::cli::stderr::get_stderr(), "{text}");
}

fn run(arguments: &[String]) -> Result<(), String> {
    let mut rest = arguments.iter().skip(1);
    let mut kept = Vec::new();
    while let Some(step) = rest.next() {
        let mut text = || rest.next().map(String::as_str).ok_or_else(|| format!("{step} needs an argument"));
        match step.as_str() {
            "print" => print(text()?),
            "warn" => warn(text()?),
            "env" => print(&guestfs::variable(text()?)),
            "args" => print(&arguments.join(" ")),
            "cat" => print(&String::from_utf8_lossy(&guestfs::read(text()?)?)),
            "ls" => print(&guestfs::list(text()?)?.join("\n")),
            "write" => guestfs::write(text()?, text()?.as_bytes())?,
            "remove" => guestfs::remove(text()?)?,
            "count" => {
                let (last, pause) = (number(text()?)?, number(text()?)?);
                for value in 1..=last {
                    print(&value.to_string());
                    guestfs::sleep(pause);
                }
            }
            "sleep" => guestfs::sleep(number(text()?)?),
            "forever" => loop {
                guestfs::sleep(3_600_000);
            },
            "burn" => drop(guestfs::burn(number(text()?)?)),
            "alloc" => kept.push(guestfs::allocate(usize::try_from(number(text()?)?).unwrap_or(usize::MAX))),
            "exit" => wasip2::cli::exit::exit_with_code(u8::try_from(number(text()?)?).unwrap_or(255)),
            other => return Err(format!("no such step: {other}")),
        }
    }
    Ok(())
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}
