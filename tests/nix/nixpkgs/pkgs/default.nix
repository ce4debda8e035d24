# Packages: programs and trees of the host, copied or linked into the store, and what builds.
#
# `parts.json` says where the kernel and the program under test are, and a digest of each, by which
# the store tells versions apart. Builders are the host's: see `tests/tests/nix.rs`.
{ lib, pkgs, system }:
let
  file = ../parts.json;
  parts = if builtins.pathExists file then builtins.fromJSON (builtins.readFile file) else { };
  part = name: parts.${name} or (throw "The stand-in for nixpkgs has no `${name}`: the tests write `parts.json`");

  derive = attrs: lib.makeOverridableDerivation (derivation ({
    inherit system;
    builder = "/bin/sh";
    PATH = "/usr/bin:/bin:/usr/sbin:/sbin";
  } // removeAttrs attrs [ "meta" "passthru" "nativeBuildInputs" "buildInputs" "src" ]
    // {
      PATH = lib.concatStringsSep ":" (map (package: "${package}/bin") (attrs.nativeBuildInputs or [ ]) ++ [ "/usr/bin:/bin:/usr/sbin:/sbin" ]);
    })) attrs;

  run = name: env: script: derive (env // {
    inherit name;
    args = [ "-e" "-c" script ];
  } // lib.optionalAttrs (env.__structuredAttrs or false) {
    builder = "/bin/bash";
    args = [ "-e" "-c" ". ./.attrs.sh; export PATH out=\"\${outputs[out]}\"\n${script}" ];
  });

  # Programs of the host under the name of a package: links, so that what they load is found.
  programs = pname: version: names: run "${pname}-${version}"
    { inherit pname version; meta.mainProgram = lib.head names; }
    "mkdir -p $out/bin; ${lib.concatMapStrings (name: ''
      for dir in /usr/sbin /usr/bin; do if test -e $dir/${name}; then ln -sf $dir/${name} $out/bin/${name}; fi; done
    '') names}";
in
{
  _type = "pkgs";
  inherit lib system parts;

  path = ../.;
  config = { };
  stdenv = rec {
    hostPlatform = {
      inherit system;
      isLinux = lib.hasSuffix "linux" system;
      isDarwin = lib.hasSuffix "darwin" system;
      isx86_64 = lib.hasPrefix "x86_64" system;
      isAarch64 = lib.hasPrefix "aarch64" system;
      linux-kernel.target = "bzImage";
      parsed.cpu.name = lib.head (lib.splitString "-" system);
    };
    targetPlatform = hostPlatform;
    buildPlatform = hostPlatform;
    cc.libc = { };
    mkDerivation = attrs: run (attrs.name or "${attrs.pname}-${attrs.version}") (removeAttrs attrs [ "buildCommand" "name" ]) attrs.buildCommand;
  };
  inherit (pkgs.stdenv) hostPlatform;
  buildPackages = pkgs;
  callPackage = f: args:
    let function = if builtins.isFunction f then f else import f;
    in function (builtins.intersectAttrs (builtins.functionArgs function) (pkgs // { inherit lib pkgs; }) // args);

  runCommand = run;
  runCommandLocal = run;
  writeTextFile = { name, text, executable ? false, destination ? "", ... }:
    run name { inherit text; passAsFile = [ "text" ]; meta.mainProgram = name; } ''
      mkdir -p "$(dirname "$out${destination}")"
      cp "$textPath" "$out${destination}"
      ${lib.optionalString executable "chmod +x \"$out${destination}\""}
    '';
  writeText = name: text: pkgs.writeTextFile { inherit name text; };
  writeScript = name: text: pkgs.writeTextFile { inherit name text; executable = true; };
  writeShellScript = name: text: pkgs.writeScript name "#!${pkgs.runtimeShell}\n${text}";
  writeShellScriptBin = name: text: pkgs.writeTextFile { inherit name; text = "#!${pkgs.runtimeShell}\n${text}"; executable = true; destination = "/bin/${name}"; };
  writeShellApplication = { name, text, runtimeInputs ? [ ], ... }: pkgs.writeShellScriptBin name ''
    set -eu
    PATH=${lib.makeBinPath runtimeInputs}:$PATH
    ${text}
  '';
  linkFarm = name: entries: run name { } "mkdir $out; ${lib.concatMapStrings (entry: "mkdir -p $(dirname $out/${entry.name}); ln -s ${entry.path} $out/${entry.name}\n") entries}";
  symlinkJoin = { name, paths, ... }: run name { } "mkdir $out; ${lib.concatMapStrings (path: "cp -rs ${path}/. $out/; chmod -R u+w $out\n") paths}";
  formats.json = _: {
    type = lib.types.anything // { description = "JSON value"; };
    generate = name: value: pkgs.writeText name (builtins.toJSON value);
  };

  # The paths of a closure, and what registers them.
  closureInfo = { rootPaths }: derive {
    name = "closure-info";
    __structuredAttrs = true;
    exportReferencesGraph.closure = rootPaths;
    builder = "/usr/bin/python3";
    args = [ ../closure-info.py ];
  };

  # A static shell and all that it has, which is what guests are made of.
  busybox = run "busybox-1.35" { pname = "busybox"; version = "1.35"; meta.mainProgram = "busybox"; } ''
    mkdir -p $out/bin
    cp /usr/bin/busybox $out/bin/busybox
    for name in $($out/bin/busybox --list); do
      test $name = busybox || ln -s busybox $out/bin/$name
    done
  '';
  bash = pkgs.busybox;
  bashInteractive = pkgs.busybox;
  coreutils = pkgs.busybox;
  runtimeShell = "${pkgs.busybox}/bin/sh";

  rustPlatform.buildRustPackage = { pname, version, ... }:
    let built = part "microvm";
    in run "${pname}-${version}" { inherit pname version; inherit (built) digest; meta.mainProgram = pname; }
      "mkdir -p $out/bin; cp ${built.path} $out/bin/${pname}";

  qemu = programs "qemu" "7.2" [ "qemu-system-x86_64" "qemu-system-aarch64" "qemu-img" ];
  qemu_kvm = pkgs.qemu;
  erofs-utils = programs "erofs-utils" "1.5" [ "mkfs.erofs" ];
  squashfsTools = programs "squashfs-tools" "4.5" [ "mksquashfs" ];
  e2fsprogs = programs "e2fsprogs" "1.47" [ "mkfs.ext4" "e2fsck" "resize2fs" ];
  xfsprogs = programs "xfsprogs" "6.1" [ "mkfs.xfs" ];
  btrfs-progs = programs "btrfs-progs" "6.2" [ "mkfs.btrfs" ];
  dosfstools = programs "dosfstools" "4.2" [ "mkfs.vfat" ];
  util-linux = programs "util-linux" "2.38" [ "mount" ];
  openssh = programs "openssh" "9.2" [ "ssh" ];
  # With all that it loads, so that guests can run it.
  nix = run "nix-2.8" { pname = "nix"; version = "2.8"; meta.mainProgram = "nix"; } ''
    mkdir -p $out/bin $out/lib $out/libexec
    cp /usr/bin/nix $out/libexec/nix
    ldd /usr/bin/nix | sed -n 's/.*=> \([^ ]*\) .*/\1/p; s/^\t\(\/[^ ]*\) .*/\1/p' | while read -r file; do cp -L "$file" $out/lib/; done
    for name in nix nix-store nix-build; do
      {
        echo '#!${pkgs.runtimeShell}'
        echo "exec $out/lib/ld-linux-x86-64.so.2 --library-path $out/lib --argv0 $name $out/libexec/nix \"\$@\""
      } > $out/bin/$name
      chmod +x $out/bin/$name
    done
  '';
  dnsmasq = programs "dnsmasq" "2.90" [ "dnsmasq" ];
  nftables = programs "nftables" "1.0" [ "nft" ];
  socat = programs "socat" "1.7" [ "socat" ];
  iproute2 = programs "iproute2" "6.1" [ "ip" ];
  mdbook = programs "mdbook" "0.4" [ "mdbook" ];
  waypipe = programs "waypipe" "0.8" [ "waypipe" ];
  hello = run "hello-2.12" { pname = "hello"; version = "2.12"; } "mkdir -p $out/bin; echo 'Hello, world!' > $out/bin/hello";
  nginx = run "nginx-1.24" { pname = "nginx"; version = "1.24"; } "mkdir -p $out/bin; echo nginx > $out/bin/nginx";
  pkg-config = { }; libcap_ng = { }; libseccomp = { };

  linux = let kernel = part "kernel"; in
    run "linux-${kernel.release}" { inherit (kernel) digest; version = kernel.release; passthru.modDirVersion = kernel.release; } ''
      mkdir -p $out/lib/modules
      cp ${kernel.path}/vmlinuz $out/bzImage
      cp -r ${kernel.path}/lib/modules/${kernel.release} $out/lib/modules/
    '';
  linuxPackages.kernel = pkgs.linux;
  linuxPackages_latest = pkgs.linuxPackages;
}
// lib.genAttrs [ "cloud-hypervisor" "firecracker" "crosvm" "kvmtool" "stratovirt" "alioth" "vfkit" "virtiofsd" ]
  (name: programs name "0" [ name ])
