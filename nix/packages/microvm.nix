# The program, built from the lock file of this repository.
{ lib, rustPlatform, pkg-config, libcap_ng, libseccomp, stdenv
, e2fsprogs, xfsprogs, btrfs-progs, dosfstools }:
let
  root = ../..;
  manifest = lib.importTOML (root + "/Cargo.toml");
in
rustPlatform.buildRustPackage {
  pname = "microvm";
  inherit (manifest.workspace.package) version;
  src = lib.fileset.toSource {
    inherit root;
    fileset = lib.fileset.unions (map (name: root + "/${name}") [ "Cargo.toml" "Cargo.lock" "crates" "tests" "examples" ]);
  };
  cargoLock.lockFile = root + "/Cargo.lock";
  cargoBuildFlags = [ "--package" "cli" ];
  # Its tests boot guests; they run outside of Nix, by `make test`.
  doCheck = false;
  nativeBuildInputs = [ pkg-config ];
  # The program in initrds is linked statically.
  buildInputs = [ libcap_ng libseccomp ] ++ lib.optional (stdenv.cc.libc ? static) stdenv.cc.libc.static;
  # What makes and grows volumes, wherever it is called from.
  MICROVM_TOOLS = lib.makeBinPath [ e2fsprogs xfsprogs btrfs-progs dosfstools ];
  meta = {
    description = "Declares, builds and runs microVMs";
    license = lib.licenses.mit;
    mainProgram = "microvm";
    platforms = lib.platforms.unix;
  };
}
