# The first stage: an initrd that loads modules and mounts what the second one needs.
{ config, lib, pkgs, ... }:
let
  kernel = config.boot.kernelPackages.kernel;
  early = [ "/" "/nix" "/nix/store" "/var" "/var/log" "/var/lib" "/etc" "/usr" ];
  needed = lib.filter (fs: fs.neededForBoot || lib.elem fs.mountPoint early) (lib.attrValues config.fileSystems);
  # Parents first; then what an overlay is made of.
  rank = fs: lib.length (lib.splitString "/" fs.mountPoint) + (if fs.mountPoint == "/" then -1 else 0)
    + (if fs.depends != [ ] || lib.elem "bind" fs.options then 10 else 0);
  ordered = lib.sort (a: b: rank a < rank b) needed;
  prefixed = option:
    let pair = builtins.match "(lowerdir|upperdir|workdir)=(.*)" option;
    in if pair == null then option else "${lib.elemAt pair 0}=/root${lib.elemAt pair 1}";
  options = fs: lib.concatMapStringsSep "," prefixed (lib.filter (o: !lib.hasPrefix "x-" o && o != "defaults") fs.options);
  directories = fs: lib.concatMapStrings (option:
    let pair = builtins.match "(upperdir|workdir)=(.*)" option;
    in lib.optionalString (pair != null) "mkdir -p /root${lib.elemAt pair 1}\n") fs.options;
  mount = fs: ''
    mkdir -p /root${fs.mountPoint}
    ${directories fs}
    ${if lib.elem "bind" fs.options
      then "mount --bind /root${fs.device} /root${fs.mountPoint}"
      else "mount -t ${fs.fsType} -o \"rw,${options fs}\" $(resolve ${fs.device}) /root${fs.mountPoint} || mount -t ${fs.fsType} -o \"ro,${options fs}\" $(resolve ${fs.device}) /root${fs.mountPoint} || fail ${fs.mountPoint}"}
  '';
  init = pkgs.writeScript "stage-1" ''
    #!/bin/sh
    export PATH=/bin
    mkdir -p /proc /sys /dev /run /root
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t devtmpfs devtmpfs /dev
    fail() { echo "stage 1 cannot mount $1"; cat /proc/partitions; poweroff -f; sleep 9; }
    # Links that udev would make, by the disks' own words; waits for what appears late.
    resolve() {
      for try in $(seq 100); do
        case $1 in
          /dev/disk/by-id/virtio-*)
            for disk in /sys/block/vd*; do
              test "virtio-$(cat $disk/serial)" = "''${1##*/}" && echo /dev/''${disk##*/} && return
            done ;;
          /dev/disk/by-label/*) findfs LABEL=''${1##*/} 2>/dev/null && return ;;
          /dev/*) test -e $1 && echo $1 && return ;;
          *) echo $1; return ;;
        esac
        sleep 0.1
      done
      echo $1
    }
    for module in $(cat /modules/order); do insmod /modules/$module 2>/dev/null; done
    ${lib.concatMapStrings mount ordered}
    for word in $(cat /proc/cmdline); do
      case $word in init=*) init=''${word#init=} ;; esac
    done
    test -x /root$init || { echo "stage 1 finds no $init"; ls /root /root/nix/store | head -20; poweroff -f; sleep 9; }
    mkdir -p /root/proc /root/sys /root/dev /root/run
    for each in proc sys dev; do mount --move /$each /root/$each; done
    exec switch_root /root $init
  '';
  modules = lib.unique (config.boot.initrd.kernelModules ++ config.boot.initrd.availableKernelModules
    ++ map (fs: fs.fsType) needed ++ [ "ext4" "crc32c_generic" "virtio_net" "button" "evdev" ]);
in
{
  system.build.mountedEarly = map (fs: fs.mountPoint) needed;
  system.build.initialRamdisk = pkgs.runCommand "initrd-${kernel.version}" { } ''
    mkdir -p root/bin root/modules $out
    cp ${pkgs.busybox}/bin/busybox root/bin/
    for name in $(root/bin/busybox --list); do test $name = busybox || ln -s busybox root/bin/$name; done
    cp ${init} root/init
    : > root/modules/order
    for module in ${toString modules}; do
      for file in $(modprobe -d ${kernel} -S ${kernel.modDirVersion} --show-depends $module 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p'); do
        name=$(basename $file .xz)
        test -e root/modules/$name && continue
        case $file in
          *.xz) xz -dc $file > root/modules/$name ;;
          *) cp $file root/modules/$name ;;
        esac
        echo $name >> root/modules/order
      done
    done
    (cd root && find . | sort | root/bin/busybox cpio -o -H newc 2>/dev/null || find . | sort | bin/busybox cpio -o -H newc) | gzip -1 > $out/initrd
  '';
}
