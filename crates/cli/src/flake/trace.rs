//! What Nix says, cut to what somebody can act on: the error itself, without the way to it.

use crate::error::{Error, Kind};

/// The error that Nix ended with; with `whole`, as Nix said it.
pub fn error(kind: Kind, said: &str, whole: bool) -> Error {
    let text = match whole {
        true => said.trim_end().to_owned(),
        false => shortened(said),
    };
    let way_out = super::hint::of(&text).map_or_else(String::new, |hint| format!("\n{hint}"));
    let error = Error::new(kind, format!("Nix: {text}{way_out}"));
    match whole {
        true => error,
        false => error.hint("`--show-trace` shows all that Nix says"),
    }
}

/// Warnings of the evaluation; those about lock files and trees that are not committed are Nix's
/// own business.
pub fn warnings(said: &str) -> impl Iterator<Item = &str> {
    said.lines().filter(|line| {
        (line.starts_with("warning: ") || line.starts_with("trace: "))
            && !line.contains("lock file")
            && !line.contains("Git tree")
            && !line.contains("build-users-group")
    })
}

/// The last `error:` with what belongs to it: neither places in code nor the calls that led there.
fn shortened(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
    let starts = |line: &&str| line.trim_start().starts_with("error:");
    let Some(at) = lines.iter().rposition(starts) else {
        return lines.join("\n").trim().to_owned();
    };
    // What failed a build is told before the paths that needed it.
    let cause = lines
        .iter()
        .position(|line| line.contains("error: builder for"));
    let at = cause.unwrap_or(at);
    let mut kept: Vec<String> = Vec::new();
    let mut in_code = false;
    let is_of_code = OF_CODE.iter().any(|words| lines[at].contains(words));
    for (number, line) in lines.iter().enumerate().skip(at) {
        let text = line.trim();
        if number > at && (starts(line) || text.starts_with("(use '--show-trace'")) {
            break;
        }
        in_code = text.starts_with("at /") || text.starts_with("at «") || in_code && is_code(text);
        if is_of_code
            && !kept.iter().any(|line| line.starts_with("at "))
            && text.starts_with("at /")
        {
            kept.push(place(text));
            continue;
        }
        let is_noise = in_code || text.starts_with('…') || text.starts_with("For full logs");
        if !is_noise {
            kept.push(text.trim_start_matches("error:").trim().to_owned());
        }
    }
    kept.dedup_by(|a, b| a.is_empty() && b.is_empty());
    kept.join("\n").trim().to_owned()
}

/// Errors about what is written in a file, which are no use without the place; those about options
/// name a place in nixpkgs.
const OF_CODE: [&str; 3] = ["syntax error", "undefined variable", "attribute '"];

/// `at /nix/store/HASH-source/flake.nix:3:4:` without what only Nix knows of it.
fn place(text: &str) -> String {
    let place = text.trim_end_matches(':');
    match place.split_once("-source/") {
        Some((_, inside)) => format!("at {inside}"),
        None => place.to_owned(),
    }
}

/// `12|   code`, `  |   ^` and the empty lines between.
fn is_code(line: &str) -> bool {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.is_empty() || rest.trim_start().starts_with('|')
}

/// Without colours.
pub fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain += before;
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: &str = "\
warning: Git tree '/x' is dirty
error:
       … while evaluating the attribute 'config.microvm'

         at /nix/store/abc-source/flake.nix:3:4:

            2|   foo
            3|     bar
             |     ^

       error:
       Failed assertions:
       - MicroVM web: the image `a.img` is there twice
(use '--show-trace' to show detailed location information)
";

    #[test]
    fn the_way_to_an_error_is_left_out() {
        let text = shortened(FAILED);
        assert_eq!(
            text,
            "Failed assertions:\n- MicroVM web: the image `a.img` is there twice"
        );
        let error = error(Kind::Definition, FAILED, true).to_string();
        assert!(error.contains("while evaluating"), "{error}");
    }

    #[test]
    fn code_is_left_out_and_its_place_told() {
        let said = "error: undefined variable 'x'\n\n       at /nix/store/abc-source/sub/flake.nix:1:2:\n\n            1| x\n             | ^\n(use '--show-trace' to show)";
        assert_eq!(
            shortened(said),
            "undefined variable 'x'\n\nat sub/flake.nix:1:2"
        );
    }

    #[test]
    fn of_a_build_the_builder_that_failed_is_told() {
        let said = "error: builder for '/nix/store/a-b.drv' failed with exit code 3;\n       last 2 log lines:\n       > one\n       > two\n       For full logs, run 'nix log'.\nerror: 1 dependencies of derivation '/nix/store/c.drv' failed to build\n";
        assert_eq!(
            shortened(said),
            "builder for '/nix/store/a-b.drv' failed with exit code 3;\nlast 2 log lines:\n> one\n> two"
        );
    }

    #[test]
    fn warnings_of_modules_are_shown_alone() {
        let said = "warning: Git tree '/x' is dirty\nwarning: not writing modified lock file\nwarning: option x is old\n";
        assert_eq!(
            warnings(said).collect::<Vec<_>>(),
            ["warning: option x is old"]
        );
    }
}
