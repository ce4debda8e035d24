# As nixpkgs has it where modules evaluate other systems.
{ modules, system ? null, pkgs ? null, specialArgs ? { }, prefix ? [ ], lib ? import ../../lib, ... }:
import ../eval.nix { inherit lib modules system pkgs specialArgs; }
