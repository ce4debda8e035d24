# The handbook as pages to read, with the options as the program's table has them.
{ runCommand, callPackage, lib }:
runCommand "microvm-doc" { nativeBuildInputs = [ (callPackage ./microvm.nix { }) ]; } ''
  mkdir -p "$out"
  cp ${../../docs}/*.md "$out/"
  microvm nix handbook > options.md
  cmp options.md "$out/options.md"
''
