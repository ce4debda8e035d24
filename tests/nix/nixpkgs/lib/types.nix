# Types of options: what they accept, how definitions merge, and the words that nixpkgs has for them.
lib:
let
  inherit (builtins) all any concatLists elem head isAttrs isBool isFloat isFunction isInt isList isPath isString length;
  show = lib.showOption;
  value = def: def.value;

  make = { name, description ? name, class ? null, check ? _: true, merge ? one, subOptions ? _: { }, empty ? null, modules ? null, submodules ? null }: {
    _type = "option-type";
    inherit name description check merge modules submodules;
    descriptionClass = class;
    getSubOptions = subOptions;
    emptyValue = empty;
  };

  phrase = accepted: type:
    if elem type.descriptionClass accepted then type.description else "(${type.description})";

  one = loc: defs:
    if length defs == 1 || all (def: def.value == (head defs).value) defs then (head defs).value
    else throw "The option `${show loc}' has conflicting definition values:${lib.showDefs defs}";

  mergeOneDefinition = loc: defs:
    if length defs == 1 then (head defs).value
    else throw "The option `${show loc}' is defined multiple times while it's expected to be unique.${lib.showDefs defs}";

  # The elements' definitions, each with a place and a file.
  elements = loc: defs: concatLists (lib.imap1 (n: def:
    lib.imap1 (m: element: { at = loc ++ [ "[definition ${toString n}-entry ${toString m}]" ]; inherit (def) file; value = element; }) def.value) defs);

  int = name: description: class: check: make { inherit name description class; check = v: isInt v && check v; };

  types = {
    raw = make { name = "raw"; description = "raw value"; class = "noun"; };
    anything = make {
      name = "anything"; class = "noun";
      merge = loc: defs:
        if all (def: isAttrs def.value && !lib.isDerivation def.value) defs
        then builtins.zipAttrsWith (name: parts: lib.mergeDefinitions (loc ++ [ name ]) types.anything parts)
          (lib.pushedDown defs)
        else if all (def: isList def.value) defs then concatLists (map value defs)
        else one loc defs;
    };
    unspecified = make { name = "unspecified"; description = "unspecified value"; class = "noun"; };
    bool = make { name = "bool"; description = "boolean"; class = "noun"; check = isBool; };
    int = int "int" "signed integer" "noun" (_: true);
    float = make { name = "float"; class = "noun"; check = isFloat; };
    number = types.either types.int types.float;
    ints = {
      unsigned = int "unsignedInt" "unsigned integer, meaning >=0" "nonRestrictiveClause" (v: v >= 0);
      positive = int "positiveInt" "positive integer, meaning >0" "nonRestrictiveClause" (v: v > 0);
      between = low: high: int "intBetween" "integer between ${toString low} and ${toString high} (both inclusive)" "nonRestrictiveClause" (v: v >= low && v <= high);
      u16 = int "unsignedInt16" "16 bit unsigned integer; between 0 and 65535 (both inclusive)" "nonRestrictiveClause" (v: v >= 0 && v <= 65535);
      u8 = int "unsignedInt8" "8 bit unsigned integer; between 0 and 255 (both inclusive)" "nonRestrictiveClause" (v: v >= 0 && v <= 255);
    };
    port = types.ints.u16;
    str = make { name = "str"; description = "string"; class = "noun"; check = isString; };
    string = types.str;
    nonEmptyStr = make { name = "nonEmptyStr"; description = "non-empty string"; class = "noun"; check = v: isString v && builtins.match "[ \t\n]*" v == null; };
    singleLineStr = types.str;
    strMatching = pattern: make { name = "strMatching"; description = "string matching the pattern ${pattern}"; class = "noun"; check = v: isString v && builtins.match pattern v != null; };
    separatedString = separator: make {
      name = "separatedString"; class = "noun"; check = isString;
      description = "strings concatenated with ${builtins.toJSON separator}";
      merge = loc: defs: lib.concatStringsSep separator (map value defs);
    };
    lines = types.separatedString "\n";
    commas = types.separatedString ",";
    envVar = types.separatedString ":";
    path = make {
      name = "path"; description = "absolute path"; class = "noun";
      check = v: (isString v || isPath v || v ? outPath || v ? __toString) && builtins.substring 0 1 (toString v) == "/";
    };
    pathInStore = types.path;
    package = make { name = "package"; class = "noun"; check = v: lib.isDerivation v || (isString v || isPath v) && lib.isStorePath v; };
    pkgs = make { name = "pkgs"; description = "Nixpkgs package set"; class = "noun"; check = v: v._type or null == "pkgs"; };
    attrs = make { name = "attrs"; description = "attribute set"; check = isAttrs; merge = loc: lib.foldl' (all: def: all // def.value) { }; };
    functionTo = _: make { name = "functionTo"; check = isFunction; };
    enum = words: make {
      name = "enum"; class = if length words < 2 then "noun" else "conjunction";
      description = "one of ${lib.concatMapStringsSep ", " (word: if isString word then ''"${word}"'' else toString word) words}";
      check = v: elem v words;
    };
    optionType = types.raw;
    deferredModule = make { name = "deferredModule"; description = "module"; merge = loc: defs: { imports = map (def: { _file = def.file; imports = [ def.value ]; }) defs; }; };
    nullOr = type: make {
      name = "nullOr"; class = "conjunction";
      description = "null or ${phrase [ "noun" "conjunction" ] type}";
      check = v: v == null || type.check v;
      merge = loc: defs:
        if all (def: def.value == null) defs then null
        else if any (def: def.value == null) defs then one loc defs
        else type.merge loc defs;
      subOptions = type.getSubOptions;
    };
    either = a: b: make {
      name = "either"; class = "conjunction";
      description = "${phrase [ "noun" "conjunction" ] a} or ${phrase [ "noun" "conjunction" "composite" ] b}";
      check = v: a.check v || b.check v;
      merge = loc: defs:
        if all (def: a.check def.value) defs then a.merge loc defs
        else if all (def: b.check def.value) defs then b.merge loc defs
        else one loc defs;
    };
    oneOf = list: lib.foldl' types.either (head list) (builtins.tail list);
    coercedTo = from: coerce: to: make {
      name = "coercedTo"; inherit (to) description;
      check = v: to.check v || from.check v && to.check (coerce v);
      merge = loc: defs: to.merge loc (map (def: def // { value = if from.check def.value then coerce def.value else def.value; }) defs);
    };
    listOf = type: make {
      name = "listOf"; class = "composite"; empty = [ ];
      description = "list of ${phrase [ "noun" "composite" ] type}";
      check = isList;
      merge = loc: defs: map (element: lib.mergeDefinitions element.at type [ { inherit (element) file value; } ])
        (builtins.filter (element: (lib.discharged element.value) != [ ]) (elements loc defs));
      subOptions = prefix: type.getSubOptions (prefix ++ [ "*" ]);
    };
    attrsOf = type: make {
      name = "attrsOf"; class = "composite"; empty = { };
      description = "attribute set of ${phrase [ "noun" "composite" ] type}";
      check = isAttrs;
      merge = loc: defs:
        let all = builtins.zipAttrsWith (_: parts: parts) (lib.pushedDown defs);
            present = lib.filterAttrs (_: parts: builtins.any (def: lib.discharged def.value != [ ]) parts) all;
        in lib.mapAttrs (name: lib.mergeDefinitions (loc ++ [ name ]) type) present;
      subOptions = prefix: type.getSubOptions (prefix ++ [ "<name>" ]);
    };
    # Values are not looked at to tell whether they are there: they may need each other.
    lazyAttrsOf = type: types.attrsOf type // {
      name = "lazyAttrsOf";
      merge = loc: defs: lib.mapAttrs (name: lib.mergeDefinitions (loc ++ [ name ]) type)
        (builtins.zipAttrsWith (_: parts: parts) (lib.pushedDown defs));
    };
    submodule = modules: types.submoduleWith { modules = lib.toList modules; };
    submoduleWith = { modules, specialArgs ? { }, shorthandOnlyDefinesConfig ? true, ... }:
      let
        evaluate = loc: more: lib.evalModules {
          inherit specialArgs; prefix = loc;
          modules = modules ++ [ { _module.args.name = lib.last ([ "" ] ++ loc); } ] ++ more;
        };
        freeform = (evaluate [ ] [ ])._freeformType;
      in make {
        name = "submodule"; empty = { };
        description = if freeform == null then "submodule" else "open submodule of ${phrase [ "noun" "composite" ] freeform}";
        class = if freeform == null then null else "composite";
        check = v: isAttrs v || isFunction v || isPath v;
        merge = loc: defs: (evaluate loc (map (def:
          if isAttrs def.value then { _file = def.file; config = def.value; } else { _file = def.file; imports = [ def.value ]; }) defs)).config;
        subOptions = prefix: builtins.removeAttrs (evaluate prefix [ ]).options [ "_module" ];
        inherit modules;
      };
    inherit (lib) mkOptionType;
  };
in
types // { inherit make; }
