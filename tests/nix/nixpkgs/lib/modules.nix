# The module system: modules with imports, options and definitions, merged with priorities.
lib:
let
  inherit (builtins) all attrNames concatLists concatMap elem filter functionArgs head isAttrs isFunction isPath isString length listToAttrs map removeAttrs sort;

  special = kind: value: isAttrs value && value._type or null == kind;
  property = _type: set: { inherit _type; } // set;

  # Conditions, merges and priorities of one definition: a list of { value, prio, order }.
  discharged = value:
    if special "if" value then (if value.condition then discharged value.content else [ ])
    else if special "merge" value then concatMap discharged value.contents
    else if special "override" value then map (def: def // { prio = value.priority; }) (discharged value.content)
    else if special "order" value then map (def: def // { order = value.priority; }) (discharged value.content)
    else [ { inherit value; prio = 100; order = 1000; } ];

  # The same for a set, of which the members are wanted: properties go down to them.
  down = value:
    if special "if" value then map (builtins.mapAttrs (_: content: mkIf value.condition content)) (down value.content)
    else if special "merge" value then concatMap down value.contents
    else if special "override" value then map (builtins.mapAttrs (_: content: property "override" { inherit (value) priority; inherit content; })) (down value.content)
    else if special "order" value then down value.content
    else [ value ];

  # For zipAttrsWith: each definition as members with files.
  pushedDown = defs: concatMap (def: map (builtins.mapAttrs (_: value: { inherit value; inherit (def) file; })) (down def.value)) defs;

  effective = defs:
    let
      plain = concatMap (def: map (one: one // { inherit (def) file; }) (discharged def.value)) defs;
      highest = lib.foldl' (best: def: lib.min best def.prio) 9999 plain;
      chosen = filter (def: def.prio == highest) plain;
    in { prio = highest; defs = sort (a: b: a.order < b.order) chosen; };

  mergeDefinitions = loc: type: defs: mergeEffective loc type (effective defs).defs;

  mergeEffective = loc: type: defs:
    let wrong = filter (def: !type.check def.value) defs;
    in
    if defs == [ ] then
      (if type.emptyValue or null != null then type.emptyValue
       else throw "The option `${showOption loc}' was accessed but has no value defined. Try setting the option.")
    else if wrong != [ ] then throw "A definition for option `${showOption loc}' is not of type `${type.description}'. Definition values:${showDefs wrong}"
    else type.merge loc defs;

  showOption = loc: lib.concatStringsSep "." (map (part:
    if builtins.match "[a-zA-Z_][a-zA-Z0-9_'-]*" part != null || elem (builtins.substring 0 1 part) [ "<" "*" "[" ]
    then part else ''"${part}"'') loc);

  showValue = value:
    if isFunction value then "<function>"
    else if isAttrs value then (if lib.isDerivation value then "<derivation>" else "{ ${lib.concatMapStringsSep " " (name: "${name} = …;") (lib.take 3 (attrNames value))} }")
    else if builtins.isList value then "[ ${lib.concatMapStringsSep " " showValue (lib.take 3 value)} ]"
    else builtins.toJSON value;

  showDefs = defs: lib.concatMapStrings (def: "\n- In `${toString def.file}': ${showValue def.value}") defs;

  isOption = special "option";
  mkIf = condition: content: property "if" { inherit condition content; };

  # Reads one module: a path, a function or a set.
  load = args: fallback: module:
    let
      isFile = isPath module || isString module;
      file = if isFile then toString module else fallback;
      read = if isFile then import module else module;
      called = if isFunction read || read ? __functor then read (arguments args read) else read;
      hasParts = called ? config || called ? options;
      config = if hasParts then called.config or { } else removeAttrs called [ "imports" "_file" "key" "disabledModules" "freeformType" "_class" "meta" ];
      freeform = if called ? freeformType then [ { _module.freeformType = called.freeformType; } ] else [ ];
      odd = if hasParts then attrNames (removeAttrs called [ "imports" "_file" "key" "disabledModules" "freeformType" "_class" "meta" "options" "config" ]) else [ ];
    in
    if odd != [ ] then throw "Module `${toString (called._file or file)}' has an unsupported attribute `${head odd}'. This is caused by introducing a top-level `config' or `options' attribute. Add configuration attributes immediately on the top level instead, or move all of them into the explicit `config' attribute."
    else {
      file = called._file or file;
      key = called.key or (if isFile then toString module else null);
      imports = called.imports or [ ];
      disabled = map toString (called.disabledModules or [ ]);
      options = called.options or { };
      configs = [ config ] ++ freeform;
    };

  arguments = args: function:
    let wanted = if function ? __functionArgs then function.__functionArgs else functionArgs function;
    in args.given // builtins.mapAttrs (name: _: args.given.${name} or args.config._module.args.${name}) wanted;

  # Depth first; each file once.
  collect = args: modules:
    let
      visit = state: { module, file }:
        let loaded = load args file module;
        in
        if loaded.key != null && elem loaded.key state.keys then state
        else
          let inner = lib.foldl' visit
                (state // { keys = state.keys ++ lib.optional (loaded.key != null) loaded.key; disabled = state.disabled ++ loaded.disabled; })
                (map (module: { inherit module; inherit (loaded) file; }) loaded.imports);
          in inner // { all = inner.all ++ [ loaded ]; };
      found = lib.foldl' visit { keys = [ ]; disabled = [ ]; all = [ ]; } (map (module: { inherit module; file = "<unknown-file>"; }) modules);
    in filter (loaded: loaded.key == null || !elem loaded.key found.disabled) found.all;

  evalOption = loc: decls: defs:
    let
      merged = lib.foldl' (all: decl: all // decl.option) { } decls;
      extending = filter (decl: (decl.option.type or { }).modules or null != null) decls;
      type =
        if length extending > 1 then lib.types.submodule (concatMap (decl: decl.option.type.modules) extending)
        else merged.type or lib.types.unspecified;
      default = lib.optional (merged ? default) { file = (head decls).file; value = property "override" { priority = 1500; content = merged.default; }; };
      found = effective (defs ++ default);
      computed = mergeEffective loc type found.defs;
      checked = if merged.readOnly or false && length (effective defs).defs > 1
        then throw "The option `${showOption loc}' is read-only, but it's set multiple times." else computed;
    in merged // {
      inherit loc type;
      _type = "option";
      value = (merged.apply or (x: x)) checked;
      isDefined = found.defs != [ ];
      highestPrio = found.prio;
      definitions = map (def: def.value) found.defs;
      files = map (def: def.file) found.defs;
      declarations = map (decl: decl.file) decls;
    };

  # Options and definitions side by side; what has no option is left over.
  mergeTree = prefix: decls: defs:
    let
      members = pushedDown defs;
      names = lib.unique (concatMap (decl: attrNames decl.options) decls);
      defsOf = name: map (set: set.${name}) (filter (set: set ? ${name}) members);
      node = name:
        let
          here = map (decl: { inherit (decl) file; option = decl.options.${name}; }) (filter (decl: decl.options ? ${name}) decls);
          loc = prefix ++ [ name ];
        in
        if lib.any (decl: isOption decl.option) here
        then let option = evalOption loc (filter (decl: isOption decl.option) here) (defsOf name);
             in { options = option; config = option.value; left = [ ]; }
        else mergeTree loc (map (decl: { inherit (decl) file; options = decl.option; }) here) (defsOf name);
      nodes = lib.genAttrs names node;
      unknown = concatMap (set: map (name: { path = prefix ++ [ name ]; inherit (set.${name}) file value; }) (filter (name: !elem name names) (attrNames set))) members;
    in {
      options = builtins.mapAttrs (_: node: node.options) nodes;
      config = builtins.mapAttrs (_: node: node.config) nodes;
      left = filter (def: discharged def.value != [ ]) unknown ++ concatMap (name: nodes.${name}.left) names;
    };

  internal = {
    file = "lib/modules.nix"; key = null; imports = [ ]; disabled = [ ]; configs = [ ];
    options._module = {
      args = mkOption { type = lib.types.lazyAttrsOf lib.types.raw; default = { }; };
      check = mkOption { type = lib.types.bool; default = true; };
      freeformType = mkOption { type = lib.types.nullOr lib.types.raw; default = null; };
    };
  };

  evalModules = { modules, specialArgs ? { }, prefix ? [ ], args ? { }, check ? true, class ? null }:
    let
      given = { inherit lib config options; inherit (self) extendModules; _class = class; } // args // specialArgs;
      collected = collect { inherit given config; } modules ++ [ internal ];
      tree = mergeTree prefix
        (map (module: { inherit (module) file options; }) collected)
        (concatMap (module: map (value: { inherit (module) file; inherit value; }) module.configs) collected);
      freeform = tree.config._module.freeformType;
      inner = map (def: def // { path = lib.drop (length prefix) def.path; }) tree.left;
      merged = freeform.merge prefix (map (def: { inherit (def) file; value = lib.setAttrByPath def.path def.value; }) inner);
      first = head tree.left;
      near = lib.concatMapStringsSep ", " (name: "`${name}'") (lib.take 5 (filter (name: name != "_module") (attrNames (lib.attrByPath (lib.init (head inner).path) { } tree.options))));
      config =
        if tree.left == [ ] || !tree.config._module.check then tree.config
        else if freeform != null then lib.recursiveUpdate merged tree.config
        else throw "The option `${showOption first.path}' does not exist. Definition values:${showDefs [ first ]}\n\nThere are here: ${near}";
      options = tree.options;
      self = {
        inherit options;
        config = removeAttrs config [ "_module" ];
        _freeformType = freeform;
        _module = tree.config._module;
        type = lib.types.submodule modules;
        extendModules = more: evalModules {
          inherit prefix args class;
          modules = modules ++ more.modules or [ ];
          specialArgs = specialArgs // more.specialArgs or { };
        };
      };
    in self;

  mkOption = set: property "option" set;
in
{
  inherit discharged pushedDown mergeDefinitions showOption showDefs isOption mkIf evalModules mkOption;
  isOptionType = special "option-type";
  mkOptionType = set: lib.types.make (removeAttrs set [ "descriptionClass" ] // { class = set.descriptionClass or null; });
  mkEnableOption = what: mkOption { type = lib.types.bool; default = false; description = "Whether to enable ${what}."; };
  mkPackageOption = pkgs: name: _: mkOption { type = lib.types.package; default = pkgs.${lib.last (lib.toList name)}; };
  mkMerge = contents: property "merge" { inherit contents; };
  mkOverride = priority: content: property "override" { inherit priority content; };
  mkDefault = content: property "override" { priority = 1000; inherit content; };
  mkOptionDefault = content: property "override" { priority = 1500; inherit content; };
  mkForce = content: property "override" { priority = 50; inherit content; };
  mkVMOverride = content: property "override" { priority = 10; inherit content; };
  mkImageMediaOverride = content: property "override" { priority = 60; inherit content; };
  mkOrder = priority: content: property "order" { inherit priority content; };
  mkBefore = content: property "order" { priority = 500; inherit content; };
  mkAfter = content: property "order" { priority = 1500; inherit content; };
  mkAssert = condition: message: content: if condition then content else throw message;
  literalExpression = text: { _type = "literalExpression"; inherit text; };
  literalMD = text: { _type = "literalMD"; inherit text; };
  mdDoc = text: text;
  mkRenamedOptionModule = from: to: { config, ... }: {
    options = lib.setAttrByPath from (mkOption { default = null; });
    config = mkIf (lib.getAttrFromPath from config != null) (lib.setAttrByPath to (lib.getAttrFromPath from config));
  };
  mkRemovedOptionModule = from: why: { config, ... }: {
    options = lib.setAttrByPath from (mkOption { default = null; });
    config = mkIf (lib.getAttrFromPath from config != null) { assertions = [ { assertion = false; message = "The option `${showOption from}' was removed: ${why}"; } ]; };
  };
  defaultOverridePriority = 100;
}
