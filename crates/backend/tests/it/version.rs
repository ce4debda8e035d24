//! Versions as distributions print them.

use backend::plan::Version;
use backend::version::parse_qemu;
use rstest::rstest;

#[rstest]
#[case(
    "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright",
    Version(7, 2, 22)
)]
#[case("QEMU emulator version 10.0.2\n", Version(10, 0, 2))]
#[case(
    "QEMU emulator version 9.2.50 (v9.2.0-1234-gabcdef-dirty)",
    Version(9, 2, 50)
)]
#[case("QEMU emulator version 11.0-rc1", Version(11, 0, 0))]
#[case("QEMU emulator version 8.2", Version(8, 2, 0))]
fn known(#[case] text: &str, #[case] version: Version) {
    assert_eq!(parse_qemu(text).unwrap(), version);
}

#[rstest]
#[case("")]
#[case("qemu: command not found")]
#[case("QEMU emulator version ")]
#[case("QEMU emulator version seven")]
#[case("QEMU emulator version 7")]
fn unknown(#[case] text: &str) {
    let error = parse_qemu(text).unwrap_err().to_string();
    assert!(error.starts_with("No version in `"), "{error}");
}

#[test]
fn they_are_ordered_by_number() {
    assert!(Version(7, 2, 22) < Version(10, 0, 0));
    assert_eq!(Version(9, 1, 0).to_string(), "9.1.0");
}
