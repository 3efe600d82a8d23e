//! Prints the public API of a crate, one item a line, from the JSON that rustdoc has made of it.
//!
//! Ends with 77 where rustdoc has made JSON of another format than this reads.

use std::process::ExitCode;

use public_api::Error;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: racefree-api JSON");
        return ExitCode::from(2);
    };
    let api = public_api::Builder::from_rustdoc_json(path)
        .omit_blanket_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    match api {
        Ok(api) => {
            print!("{api}");
            ExitCode::SUCCESS
        }
        Err(Error::SerdeJsonError(error)) => {
            eprintln!("not the format that is read: {error}");
            ExitCode::from(77)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
