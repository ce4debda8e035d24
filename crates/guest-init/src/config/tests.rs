use rstest::rstest;

use super::*;

fn config() -> BootConfig {
    BootConfig {
        hostname: "web".to_owned(),
        modules: vec!["virtio_ring.ko".to_owned(), "virtio.ko".to_owned()],
        root: Root::Disk {
            disk: DiskRef {
                serial: Some("store".to_owned()),
                index: 0,
            },
            fs_type: "erofs".to_owned(),
        },
        overlay: Overlay::At("/nix/.rw-store".to_owned()),
        mounts: vec![
            Mount {
                what: What::Disk {
                    disk: DiskRef {
                        serial: None,
                        index: 1,
                    },
                    fs_type: "ext4".to_owned(),
                },
                mount_point: "/a b%\u{a0}/\u{e9}".to_owned(),
                read_only: true,
            },
            Mount {
                what: What::Share {
                    tag: "t".to_owned(),
                    proto: ShareProto::NineP,
                },
                mount_point: "/mnt".to_owned(),
                read_only: false,
            },
        ],
        init: "/sbin/init".to_owned(),
        device_timeout_secs: 30,
        leave: Leave::Reset,
        agent: Some(Agent::Vsock(1024)),
        credentials: Some(DiskRef {
            serial: None,
            index: 2,
        }),
        may_have_entry: true,
        commands: Some(Commands::Reserved),
    }
}

#[test]
fn what_is_rendered_is_read_back() {
    let config = config();
    assert_eq!(BootConfig::parse(&config.render()), Ok(config));
}

#[rstest]
#[case(Agent::Serial("ttyS1".to_owned()))]
#[case(Agent::Port("org.microvm.agent".to_owned()))]
#[case(Agent::Vsock(1024))]
#[case(Agent::Button)]
fn every_agent_is_read_back(#[case] agent: Agent) {
    let [kind, name] = agent.words();
    assert_eq!(Agent::parse(&kind, &name), Some(agent));
}

#[rstest]
#[case("hostname\n", 1)]
#[case("nonsense x\n", 1)]
#[case("hostname a\nroot disk x - erofs\n", 2)]
#[case("mount rw /x disk 1 -\n", 1)]
#[case("module %4\n", 1)]
#[case("leave at-once\n", 1)]
#[case("agent vsock x\n", 1)]
#[case("agent pigeon x\n", 1)]
#[case("agent button door\n", 1)]
#[case("credentials x -\n", 1)]
fn a_wrong_line_is_named(#[case] text: &str, #[case] number: usize) {
    let error = BootConfig::parse(text).unwrap_err();
    assert!(
        matches!(error, ConfigError::Line { number: n, .. } if n == number),
        "{error}"
    );
}

#[test]
fn a_missing_statement_is_named() {
    let text = config().render().replace("overlay at /nix/.rw-store\n", "");
    assert_eq!(
        BootConfig::parse(&text),
        Err(ConfigError::Missing("overlay"))
    );
}
