//! A small disk with the guest's credentials, for hypervisors that have no other way in.
//!
//! All numbers are little endian: [`MAGIC`], the count (u32), then for each credential the length
//! of its name (u32), the length of its content (u32), name and content; zeroes fill up the last
//! sector. The bounds are those of systemd, which would pass over what exceeds them.

/// How the disk begins; the last byte is the version of the format.
pub const MAGIC: [u8; 16] = *b"microvm-creds\0\0\x01";

/// Longest content of one credential: systemd's `CREDENTIAL_SIZE_MAX`.
pub const LONGEST: usize = 1 << 20;
/// Longest content of all: systemd's `CREDENTIALS_TOTAL_SIZE_MAX`.
pub const LONGEST_TOTAL: usize = 1 << 20;
/// Longest name: that of a file.
pub const LONGEST_NAME: usize = 255;
/// Most credentials of a VM.
pub const MOST: usize = 1024;
/// No disk that [`render`] makes is larger.
pub const LARGEST_DISK: usize = 2 << 20;

const SECTOR: usize = 512;

/// Why credentials cannot be handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialsError {
    Name(String),
    Twice(String),
    TooLong { name: String, length: usize },
    TooMuch { length: usize },
    TooMany(usize),
    NotACredentialsDisk,
    Version(u8),
    CutOff,
}

impl std::fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => write!(
                f,
                "Credential `{}` has a name that systemd does not take: 1 to {LONGEST_NAME} \
                 printable ASCII characters without `/` and `:`, and not `.` or `..`",
                name.escape_default()
            ),
            Self::Twice(name) => write!(f, "Credential `{name}` is there twice"),
            Self::TooLong { name, length } => write!(
                f,
                "Credential `{name}` has {length} bytes; at most {LONGEST} are possible"
            ),
            Self::TooMuch { length } => write!(
                f,
                "Credentials with {length} bytes together; at most {LONGEST_TOTAL} are possible"
            ),
            Self::TooMany(count) => write!(f, "{count} credentials; at most {MOST} are possible"),
            Self::NotACredentialsDisk => f.write_str("It does not begin as a credentials disk"),
            Self::Version(version) => write!(f, "It has format {version}; known is {}", MAGIC[15]),
            Self::CutOff => f.write_str("It ends within a credential"),
        }
    }
}

impl std::error::Error for CredentialsError {}

/// The content of a disk that holds these credentials: whole sectors.
pub fn render<N: AsRef<str>, B: AsRef<[u8]>>(
    credentials: &[(N, B)],
) -> Result<Vec<u8>, CredentialsError> {
    let mut checked = Checked::default();
    let mut disk = MAGIC.to_vec();
    push(&mut disk, count(credentials.len())?);
    for (name, content) in credentials {
        let (name, content) = (name.as_ref(), content.as_ref());
        checked.add(name, content.len())?;
        push(&mut disk, name.len());
        push(&mut disk, content.len());
        disk.extend_from_slice(name.as_bytes());
        disk.extend_from_slice(content);
    }
    disk.resize(disk.len().next_multiple_of(SECTOR), 0);
    Ok(disk)
}

/// Reads what [`render`] made; what follows it on the disk is passed over.
pub fn parse(disk: &[u8]) -> Result<Vec<(String, Vec<u8>)>, CredentialsError> {
    let mut rest = Rest(disk);
    let magic = rest
        .take(MAGIC.len())
        .map_err(|_| CredentialsError::NotACredentialsDisk)?;
    match magic.split_last() {
        Some((version, head)) if *head == MAGIC[..15] && *version != MAGIC[15] => {
            return Err(CredentialsError::Version(*version));
        }
        _ if *magic == MAGIC => {}
        _ => return Err(CredentialsError::NotACredentialsDisk),
    }
    let mut checked = Checked::default();
    let mut credentials = Vec::new();
    for _ in 0..count(rest.number()?)? {
        let (name, content) = (rest.number()?, rest.number()?);
        let name = String::from_utf8_lossy(rest.take(name)?).into_owned();
        checked.add(&name, content)?;
        credentials.push((name, rest.take(content)?.to_vec()));
    }
    Ok(credentials)
}

/// Whether systemd takes it as the name of a credential (`credential_name_valid`).
pub fn is_name(name: &str) -> bool {
    let printable = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b'/' && byte != b':';
    (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(printable)
        && name != "."
        && name != ".."
}

/// The credentials so far.
#[derive(Default)]
struct Checked {
    names: std::collections::BTreeSet<String>,
    total: usize,
}

impl Checked {
    fn add(&mut self, name: &str, length: usize) -> Result<(), CredentialsError> {
        if !is_name(name) {
            return Err(CredentialsError::Name(name.to_owned()));
        }
        if !self.names.insert(name.to_owned()) {
            return Err(CredentialsError::Twice(name.to_owned()));
        }
        if length > LONGEST {
            let name = name.to_owned();
            return Err(CredentialsError::TooLong { name, length });
        }
        self.total += length;
        if self.total > LONGEST_TOTAL {
            return Err(CredentialsError::TooMuch { length: self.total });
        }
        Ok(())
    }
}

fn count(count: usize) -> Result<usize, CredentialsError> {
    if count > MOST {
        return Err(CredentialsError::TooMany(count));
    }
    Ok(count)
}

fn push(disk: &mut Vec<u8>, number: usize) {
    let number = u32::try_from(number).expect("all numbers are bounded");
    disk.extend_from_slice(&number.to_le_bytes());
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], CredentialsError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(CredentialsError::CutOff)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<usize, CredentialsError> {
        let bytes = self.take(4)?.try_into().expect("four were taken");
        Ok(u32::from_le_bytes(bytes) as usize)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn two() -> Vec<(String, Vec<u8>)> {
        vec![
            ("passwd.hashed-password.root".to_owned(), b"$y$...".to_vec()),
            ("empty".to_owned(), Vec::new()),
        ]
    }

    #[test]
    fn what_is_rendered_is_read_back() {
        let disk = render(&two()).unwrap();
        assert_eq!(disk.len(), 512);
        assert_eq!(parse(&disk), Ok(two()));
        assert_eq!(parse(&render::<&str, &[u8]>(&[]).unwrap()), Ok(Vec::new()));
    }

    #[test]
    fn no_disk_makes_it_panic_or_take_much() {
        let disk = render(&two()).unwrap();
        for end in 0..disk.len() {
            let _ = parse(&disk[..end]);
        }
        for at in 0..64 {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut wrong = disk.clone();
                wrong[at] = value;
                let _ = parse(&wrong);
            }
        }
        let mut endless = MAGIC.to_vec();
        endless.extend([1, 0, 0, 0]);
        endless.extend([0xff; 8]);
        assert_eq!(parse(&endless), Err(CredentialsError::CutOff));
    }

    #[rstest]
    #[case("")]
    #[case(".")]
    #[case("..")]
    #[case("a/b")]
    #[case("a:b")]
    #[case("a\nb")]
    #[case("é")]
    #[case(&"x".repeat(256))]
    fn a_name_that_systemd_refuses_is_refused(#[case] name: &str) {
        let error = render(&[(name, b"x")]).unwrap_err();
        assert_eq!(error, CredentialsError::Name(name.to_owned()));
        assert!(error.to_string().is_ascii());
    }

    #[test]
    fn what_is_too_long_is_told() {
        let long = vec![0; LONGEST + 1];
        assert_eq!(
            render(&[("a", &long)]).unwrap_err().to_string(),
            "Credential `a` has 1048577 bytes; at most 1048576 are possible"
        );
        let half = vec![0; LONGEST_TOTAL / 2 + 1];
        let error = render(&[("a", &half), ("b", &half)]).unwrap_err();
        assert_eq!(error, CredentialsError::TooMuch { length: 1_048_578 });
        let many: Vec<_> = (0..=MOST).map(|n| (n.to_string(), "")).collect();
        assert_eq!(render(&many), Err(CredentialsError::TooMany(1025)));
        let error = render(&[("a", b""), ("a", b"")]).unwrap_err();
        assert_eq!(error, CredentialsError::Twice("a".to_owned()));
    }

    #[test]
    fn another_version_and_another_disk_are_told_apart() {
        let mut disk = render(&two()).unwrap();
        disk[15] = 2;
        assert_eq!(parse(&disk), Err(CredentialsError::Version(2)));
        assert_eq!(
            parse(b"ext4 or so"),
            Err(CredentialsError::NotACredentialsDisk)
        );
    }
}
