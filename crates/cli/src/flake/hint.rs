//! What the program knows of the options that an error of Nix is about: the way out.

use spec::options::Opt;

/// What would have been right, where an error is about an option of ours.
pub fn of(error: &str) -> Option<String> {
    let name = between(error, "The option `microvm.", "'")
        .or_else(|| between(error, "for option `microvm.", "'"))?;
    let name = general(name);
    match spec::options::find(&name) {
        Some(opt) if error.contains("is not of type") => {
            Some(format!("`microvm.{name}` takes {}", accepted(opt)))
        }
        Some(opt) if error.contains("no value defined") => Some(format!(
            "set `microvm.{name}`: {} For example: {}",
            opt.meaning, opt.example
        )),
        Some(_) => None,
        None => {
            let nearest = spec::options::nearest(&name);
            Some(match nearest {
                Some(nearest) => format!("did you mean `microvm.{nearest}`?"),
                None => "`microvm options` lists them all".to_owned(),
            })
        }
    }
}

fn accepted(opt: &Opt) -> String {
    match opt.nullable {
        true => format!("{}, or null", opt.kind.accepted()),
        false => opt.kind.accepted(),
    }
}

/// `volumes.[definition 1-entry 2].size` as the table has it: `volumes.*.size`.
fn general(name: &str) -> String {
    let mut general = String::new();
    let mut rest = name.replace('"', "");
    while let Some((before, after)) = rest.split_once('[') {
        general += before;
        general.push('*');
        rest = after
            .split_once(']')
            .map_or("", |(_, rest)| rest)
            .to_owned();
    }
    general + &rest
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(
        "A definition for option `microvm.mem' is not of type `positive integer, meaning >0'.",
        "`microvm.mem` takes a number from 1 to 16777216"
    )]
    #[case(
        "The option `microvm.memm' does not exist. Definition values:",
        "did you mean `microvm.mem`?"
    )]
    #[case(
        "The option `microvm.volumes.\"[definition 1-entry 1]\".image' was accessed but has no value defined.",
        "set `microvm.volumes.*.image`: The image's path; a relative one is in the state directory. For example: \"var.img\""
    )]
    fn the_way_out(#[case] error: &str, #[case] hint: &str) {
        assert_eq!(of(error).as_deref(), Some(hint));
    }

    #[test]
    fn other_options_are_not_ours() {
        assert_eq!(of("The option `services.x' does not exist."), None);
    }
}
