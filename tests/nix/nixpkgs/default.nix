# What `import nixpkgs { }` gives: the packages, with overlays applied.
{ system ? builtins.currentSystem, overlays ? [ ], config ? { }, localSystem ? null, crossSystem ? null, ... }:
let
  lib = import ./lib;
  base = final: import ./pkgs { inherit lib system; pkgs = final; };
  extend = final: super: overlay: super // overlay final super;
  fixed = lib.fix (final: lib.foldl' (extend final) (base final) overlays);
in
fixed // {
  appendOverlays = more: import ./. { inherit system config; overlays = overlays ++ more; };
  extend = more: import ./. { inherit system config; overlays = overlays ++ [ more ]; };
}
