# The options as Nix has them against MicroVM.nix's list: names, types and defaults.
{ self, nixpkgs, system, pkgs }:
let
  inherit (nixpkgs) lib;
  listed = builtins.readFile ../../crates/spec/tests/fixtures/options.tsv;
  rows = map (lib.splitString "\t") (lib.filter (line: line != "" && !lib.hasPrefix "side" line) (lib.splitString "\n" listed));
  theirs = lib.listToAttrs (map (row: lib.nameValuePair (lib.elemAt row 1) { type = lib.elemAt row 2; default = lib.elemAt row 3; }) rows);

  nixos = lib.nixosSystem {
    inherit system;
    modules = [ self.nixosModules.microvm self.nixosModules.host { networking.hostName = "HOSTNAME"; system.stateVersion = lib.trivial.release; } ];
  };
  # All options with their names, those of members too.
  collect = path: options: lib.concatLists (lib.mapAttrsToList (name: option:
    let here = path ++ [ name ];
    in
    if name == "_module" then [ ]
    else if lib.isOption option then [ (lib.nameValuePair (lib.concatStringsSep "." here) option) ] ++ collect here (inside option here)
    else collect here option) options);
  # JSON's own type has none.
  inside = option: here:
    let found = removeAttrs (option.type.getSubOptions [ ]) [ "_freeformOptions" ];
        mark = if lib.hasInfix "list of" option.type.description then "*" else "<name>";
    in if found == { } || lib.elem (lib.last here) [ "extraConfig" ] then { }
       else if lib.hasInfix "submodule" option.type.description then { ${mark} = found; } else { };
  ours = lib.listToAttrs (collect [ "microvm" ] nixos.options.microvm);

  show = value:
    if value == [ ] then "[ ]" else if value == { } then "{ }" else if value == null then "null"
    else if lib.isList value then "[ ${lib.concatMapStringsSep " " show value} ]"
    else builtins.toJSON value;
  words = text: lib.concatStringsSep " " (lib.sort (a: b: a < b) (lib.splitString " " (builtins.replaceStrings [ "," "(" ")" ] [ "" "" "" ] text)));
  type = option: builtins.replaceStrings [ ''strings concatenated with "\n"'' "path in the Nix store" ] [ "lines" "absolute path" ] option.type.description;

  compare = name: theirs:
    let option = ours.${name} or null;
        computed = lib.hasPrefix "(computed" theirs.default;
        required = theirs.default == "-";
    in
    if option == null then [ "${name} is missing" ]
    else lib.optional (words (type option) != words theirs.type) "${name}: the type is `${type option}`, not `${theirs.type}`"
      ++ lib.optional (!computed && !required && show (option.default or "none") != theirs.default)
        "${name}: the default is ${show (option.default or "none")}, not ${theirs.default}"
      ++ lib.optional (required && option ? default && !lib.elem name [ "microvm.storeDisk" "microvm.bootDisk" "microvm.deploy.installOnHost" ])
        "${name}: there is a default, ${show option.default}, where there should be none";
  # Of our own, beside theirs.
  isMore = name: !(theirs ? ${name}) && !lib.hasPrefix "microvm.networks" name
    && !lib.elem name [ "microvm.guest.storeClosure" "microvm.vms.<name>.network" ];
  more = lib.filter isMore (lib.attrNames ours);
  undescribed = lib.attrNames (lib.filterAttrs (_: option: option.description or "" == "") ours);

  problems = lib.concatLists (lib.mapAttrsToList compare theirs)
    ++ map (name: "${name} is not in MicroVM.nix's list") more
    ++ map (name: "${name} has no description") undescribed;
in
if problems == [ ] then pkgs.runCommand "options" { } "echo ${toString (lib.length (lib.attrNames ours))} > $out"
else throw "The options differ:\n${lib.concatStringsSep "\n" problems}"
