//! Arguments of the user's own: crosvm refuses an option that comes twice and may come once.

/// Options of ours that may come once, with the letter that stands for them.
const ONCE: [(&str, &str); 7] = [
    ("--cpus", "-c"),
    ("--mem", "-m"),
    ("--initrd", "-i"),
    ("--socket", "-s"),
    ("--init-mem", ""),
    ("--pivot-root", ""),
    ("--vsock", ""),
];

/// Arguments without those, each with its value, that the user gives too.
pub(super) fn without(own: Vec<String>, user: &[String]) -> Vec<String> {
    let mut kept = Vec::with_capacity(own.len());
    let mut own = own.into_iter();
    while let Some(arg) = own.next() {
        if is_given(user, &arg) {
            own.next();
        } else {
            kept.push(arg);
        }
    }
    kept
}

fn is_given(user: &[String], option: &str) -> bool {
    let names = ONCE.iter().find(|(long, _)| *long == option);
    names.is_some_and(|(long, short)| {
        user.iter().any(|arg| {
            let name = arg.split_once('=').map_or(arg.as_str(), |(name, _)| name);
            name == *long || (!short.is_empty() && name == *short)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[rstest::rstest]
    #[case(
        "--mem 512 --block a --cpus 1",
        "--cpus num-cores=2",
        "--mem 512 --block a"
    )]
    #[case("--mem 512 --no-usb", "-m=1024", "--no-usb")]
    #[case("--block a --params b", "--block c --params d", "--block a --params b")]
    #[case("--mem 512", "--disable-sandbox", "--mem 512")]
    fn the_users_own_win(#[case] own: &str, #[case] user: &str, #[case] expected: &str) {
        assert_eq!(without(words(own), &words(user)), words(expected));
    }
}
