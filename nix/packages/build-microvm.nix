# Builds one VM of a flake, for another hypervisor or with more options than its flake says.
{ writeShellApplication, callPackage, self, nixpkgs }:
writeShellApplication {
  name = "build-microvm";
  runtimeInputs = [ (callPackage ./microvm.nix { }) ];
  text = ''
    if [ "$#" -lt 1 ]; then
      echo "usage: build-microvm FLAKE#NAME [options of microvm build]" >&2
      exit 2
    fi
    exec microvm build "$@"
  '';
}
