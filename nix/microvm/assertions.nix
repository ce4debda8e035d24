# What Nix can tell before anything is built. The rest is said by the program, when it builds.
{ config, lib, ... }:
let
  cfg = config.microvm;
  inherit (config.networking) hostName;
  inherit (import ../lib { inherit lib; }) can hypervisors;
  about = text: "MicroVM ${hostName}: ${text}";
  claim = assertion: text: { inherit assertion; message = about text; };

  twice = values: lib.attrNames (lib.filterAttrs (_: all: lib.length all > 1) (lib.groupBy toString values));
  unique = what: option: values: map
    (value: claim false "${what} `${value}` is there twice in `microvm.${option}`; give each one of its own")
    (twice values);

  # A feature that is asked for, by which option and value.
  need = feature: option: value:
    let able = lib.filter (can feature) hypervisors;
    in claim (can feature cfg.hypervisor) ("`microvm.${option} = ${value}` asks for what ${cfg.hypervisor} does not have (${feature}); "
      + (if able == [ ] then "no hypervisor has it" else "`microvm.hypervisor` can be ${lib.concatStringsSep ", " able}"));

  share = at: share: need { "9p" = "9p shares"; virtiofs = "virtiofs shares"; }.${share.proto} "shares[${toString at}].proto" ''"${share.proto}"'';
  interface = at: interface: need {
    user = "user network"; tap = "TAP interfaces"; macvtap = "macvtap interfaces"; bridge = "bridge interfaces";
  }.${interface.type} "interfaces[${toString at}].type" ''"${interface.type}"'';
  device = at: device: need { pci = "PCI passthrough"; usb = "USB passthrough"; }.${device.bus} "devices[${toString at}].bus" ''"${device.bus}"'';
  forward = at: forward: need { host = "ports forwarded to the guest"; guest = "ports forwarded to the host"; }.${forward.from}
    "forwardPorts[${toString at}].from" ''"${forward.from}"'';

  long = lib.filter (one: lib.stringLength one.id > 15) cfg.interfaces;
  bridgeless = lib.filter (one: one.type != "bridge" && one.bridge != null) cfg.interfaces;
in
{
  assertions =
    unique "the image" "volumes" (map (one: one.image) cfg.volumes)
    ++ unique "the interface" "interfaces" (map (one: one.id) cfg.interfaces)
    ++ unique "the tag" "shares" (map (one: one.tag) cfg.shares)
    ++ unique "the socket" "shares" (map (one: one.socket) (lib.filter (one: one.socket != null) cfg.shares))
    ++ lib.imap0 share cfg.shares
    ++ lib.imap0 interface cfg.interfaces
    ++ lib.imap0 device cfg.devices
    ++ lib.imap0 forward cfg.forwardPorts
    ++ map (one: claim false "the interface `${one.id}` has a name of ${toString (lib.stringLength one.id)} characters; Linux takes 15 at most") long
    ++ map (one: claim false "the interface `${one.id}` has `bridge`, which only one with `type = \"bridge\"` has") bridgeless
    ++ lib.optional (!cfg.storeOnDisk) (claim (lib.any (one: one.source == "/nix/store") cfg.shares)
      "`microvm.storeOnDisk` is false, and no share has the source /nix/store; add one, or set it to true")
    ++ lib.optional (cfg.balloon) (need "balloon" "balloon" "true")
    ++ lib.optional (cfg.vsock.cid != null) (claim (cfg.vsock.cid > 2) "`microvm.vsock.cid = ${toString cfg.vsock.cid}` is reserved; take 3 or more")
    ++ lib.optional (cfg.forwardPorts != [ ]) (claim (lib.any (one: one.type == "user") cfg.interfaces)
      "`microvm.forwardPorts` needs an interface with `type = \"user\"`; add one to `microvm.interfaces`")
    ++ lib.optional (cfg.writableStoreOverlay != null) (claim
      (!(config.nix.optimise.automatic or false) && !(config.nix.settings.auto-optimise-store or false))
      "`microvm.writableStoreOverlay` does not work with `nix.optimise.automatic` or `nix.settings.auto-optimise-store`");
}
