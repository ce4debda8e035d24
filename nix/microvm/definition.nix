# `config.microvm` as the program reads it: what was set, and the parts of the guest. What was not
# set has the program's own default.
{ config, options, lib, arch, hypervisor ? config.microvm.hypervisor }:
let
  cfg = config.microvm;
  table = (lib.importJSON ../options/table.json).options;
  hypervisors = import ../lib/hypervisors.nix;

  # Not those of a host, which may be the same machine.
  ofGuest = lib.unique (map (name: lib.head (lib.splitString "." name)) (lib.attrNames table));

  isSet = option: option.isDefined && option.highestPrio < 1500;
  # What the Nix side alone acts on, and what belongs to other hypervisors.
  isGiven = path:
    let name = lib.concatStringsSep "." path; first = lib.head path;
    in !(table.${name}.nixOnly or false)
      && !lib.elem name [ "hypervisor" "kernel" "initrdPath" "kernelParams" "storeDisk" "guest.enable" ]
      && (first == hypervisor || !lib.elem first hypervisors)
      && (first != "graphics" || cfg.graphics.enable);

  setOf = path: options: values: lib.concatMapAttrs (name: option:
    let here = path ++ [ name ];
    in
    if path == [ ] && !lib.elem name ofGuest then { }
    else if lib.isOption option then lib.optionalAttrs (isGiven here && isSet option) { ${name} = given name values.${name}; }
    else
      let inner = setOf here option values.${name};
      in lib.optionalAttrs (inner != { }) { ${name} = inner; }) options;

  # Members of lists that are required in some cases only.
  given = name: value: {
    volumes = map (volume: removeAttrs volume (lib.optional (!volume.autoCreate) "size")) value;
    interfaces = map (interface: removeAttrs interface (lib.optional (interface.type != "macvtap") "macvtap")) value;
  }.${name} or value;

  own = setOf [ ] options.microvm cfg;
  # The program has a daemon of its own, and alioth.
  package = lib.optionalAttrs (!lib.elem hypervisor [ "alioth" ]) { inherit (cfg.${hypervisor}) package; };
  # A system that is on the disk is not the runner's to refer to.
  param = if cfg.systemSymlink || !cfg.storeOnDisk then lib.id else builtins.unsafeDiscardStringContext;
in
own // {
  inherit hypervisor;
  ${hypervisor} = package // own.${hypervisor} or { };
  kernel = "${cfg.kernel}";
  initrdPath = cfg.initrdPath;
  kernelParams = map param cfg.kernelParams;
  guest = { inherit (cfg.guest) enable; inherit arch; } // own.guest or { };
} // lib.optionalAttrs cfg.storeOnDisk { storeDisk = cfg.storeDisk; }
