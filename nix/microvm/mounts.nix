# The guest's file systems: store, writable overlay, volumes, shares.
{ config, lib, ... }:
let
  cfg = config.microvm;
  inherit (import ../lib { inherit lib; }) withDriveLetters;
  hostStore = lib.findFirst (share: share.source == "/nix/store") null cfg.shares;
  overlay = cfg.writableStoreOverlay;
  readOnlyStore =
    if cfg.storeOnDisk then "/nix/.ro-store"
    else hostStore.mountPoint;

  # These hypervisors give disks no serial numbers of ours; only the order tells them apart.
  byPlace = lib.elem cfg.hypervisor [ "firecracker" "kvmtool" "alioth" ];
  disk = serial: letter: if byPlace then "/dev/vd${letter}" else "/dev/disk/by-id/virtio-${serial}";

  storeDisk = {
    device = disk "store" "a";
    fsType = cfg.storeDiskType;
    options = [ "x-systemd.requires=systemd-modules-load.service" ];
    neededForBoot = true;
    noCheck = true;
  };

  store =
    if overlay != null then {
      "/nix/store" = {
        device = "overlay";
        fsType = "overlay";
        neededForBoot = true;
        options = [ "lowerdir=${readOnlyStore}" "upperdir=${overlay}/store" "workdir=${overlay}/work" ];
        depends = [ readOnlyStore overlay ];
      };
    } // lib.optionalAttrs cfg.storeOnDisk { ${readOnlyStore} = storeDisk; }
    else if cfg.storeOnDisk then { "/nix/store" = storeDisk; }
    else if hostStore != null && hostStore.mountPoint != "/nix/store" then {
      "/nix/store" = {
        device = hostStore.mountPoint;
        options = [ "bind" ];
        neededForBoot = true;
        depends = [ hostStore.mountPoint ];
      };
    } else { };

  numbered = lib.imap0 (number: volume: volume // { inherit number; }) (withDriveLetters cfg);
  mounted = lib.filter (volume: volume.mountPoint != null) numbered;
  volume = one: lib.nameValuePair one.mountPoint ({
    inherit (one) fsType;
    device =
      if one.label != null then "/dev/disk/by-label/${one.label}"
      else disk (if one.serial != null then one.serial else "vol${toString one.number}") one.letter;
    options = [ "defaults" ] ++ lib.optional one.readOnly "ro";
  } // lib.optionalAttrs (one.mountPoint == overlay) { neededForBoot = true; });

  share = one: lib.nameValuePair one.mountPoint ({
    device = one.tag;
    fsType = one.proto;
    options = {
      "9p" = [ "trans=virtio" "version=9p2000.L" "msize=65536" ];
      virtiofs = [ "defaults" ];
    }.${one.proto} ++ [ "x-systemd.requires=systemd-modules-load.service" ] ++ lib.optional one.readOnly "ro";
  } // lib.optionalAttrs (one.source == "/nix/store" || one.mountPoint == overlay) { neededForBoot = true; });
in
lib.mkIf cfg.guest.enable {
  fileSystems = lib.mkMerge [
    {
      "/" = lib.mkDefault {
        device = "rootfs";
        fsType = "tmpfs";
        options = [ "size=50%" "mode=0755" ];
        neededForBoot = true;
      };
    }
    store
    (lib.listToAttrs (map volume mounted))
    (lib.listToAttrs (map share cfg.shares))
  ];

  # Systemd's initrd makes no directories for an overlay by itself.
  boot.initrd.systemd = lib.mkIf (config.boot.initrd.systemd.enable && overlay != null) {
    services.microvm-store-overlay = {
      description = "Directories of the writable store";
      wantedBy = [ "sysroot-nix-store.mount" ];
      before = [ "sysroot-nix-store.mount" ];
      unitConfig = {
        DefaultDependencies = false;
        RequiresMountsFor = "/sysroot${overlay}";
      };
      serviceConfig = {
        Type = "oneshot";
        ExecStart = "/bin/mkdir -p -m 0755 /sysroot${overlay}/store /sysroot${overlay}/work";
      };
    };
  };
}
