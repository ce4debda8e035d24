# The options of a guest, made of the program's own table (`microvm nix table`), so that names,
# defaults and descriptions are those of the program.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  table = lib.importJSON ./table.json;
  ownTypes = import ./types.nix { inherit lib pkgs; };
  defaults = import ./defaults.nix { inherit config lib pkgs; };

  # What only guests without Nix have is not an option here.
  isOurs = name: lib.hasPrefix "guest." name && !lib.elem name [ "guest.enable" "guest.storeClosure" ];
  rows = lib.filterAttrs (name: _: !isOurs name) table.options;

  # Part of a name to a tree: { row; children; } at each place.
  insert = tree: path: row:
    if path == [ ] then tree // { inherit row; }
    else
      let part = lib.head path; children = tree.children or { };
      in tree // { children = children // { ${part} = insert (children.${part} or { }) (lib.tail path) row; }; };
  tree = lib.foldl' (tree: name: insert tree (lib.splitString "." name) (rows.${name} // { inherit name; })) { } (lib.attrNames rows);

  # A JSON schema as a type.
  typeOf = schema:
    if schema ? enum then types.enum schema.enum
    else if schema ? anyOf then lib.foldl' types.either (typeOf (lib.head schema.anyOf)) (map typeOf (lib.tail schema.anyOf))
    else {
      boolean = types.bool;
      integer = if schema.minimum or (-1) == 0 then types.ints.unsigned else types.int;
      string = types.str;
      array = types.listOf (typeOf schema.items);
      object = if schema ? additionalProperties then types.attrsOf (typeOf schema.additionalProperties) else types.attrs;
    }.${schema.type or "none"} or types.unspecified;

  isRow = node: node ? row;
  mk = node:
    if !isRow node then lib.mapAttrs (_: mk) node.children
    else
      let
        inherit (node) row;
        plain =
          if node ? children && node.children ? "*" then types.listOf (submodule node.children."*")
          else typeOf row.schema;
        type = ownTypes.${row.name} or (if row.nullable then types.nullOr plain else plain);
      in mkOption ({
        inherit type;
        description = row.meaning;
      }
      // lib.optionalAttrs (row ? default && !lib.elem row.name defaults.required) { inherit (row) default; }
      // lib.optionalAttrs (defaults.computed ? ${row.name}) { default = defaults.computed.${row.name}; }
      // lib.optionalAttrs (row ? computed && !lib.hasPrefix "required" row.computed) {
        defaultText = lib.literalMD (lib.removePrefix "(" (lib.removeSuffix ")" row.computed));
      });

  submodule = node: types.submodule (
    if node.children ? socket then { config, ... }: {
      options = lib.mapAttrs (_: mk) node.children;
      # The only default inside of a list that depends on its neighbours.
      config.socket = lib.mkOptionDefault (if config.proto == "virtiofs" then defaults.shareSocket config.tag else null);
    } else { options = lib.mapAttrs (_: mk) node.children; });
in
{
  options.microvm = lib.mapAttrs (_: mk) tree.children;
}
