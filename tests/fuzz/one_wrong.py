"""One thing wrong in what would be right: in values, in a text, in a network's definition, in weights.

Each function takes a `random.Random` and something whole, and returns the fault in words with what came of it.
"""

import io
import json
import re
import struct
import warnings

import caffe
import h5py
import numpy as np
from caffe.proto import caffe_pb2

# --- Values, as JSON and TOML hold them ------------------------------------------------------------------------------

_OTHER_KINDS = (None, True, 0, 1.5, "", "cat", [], [1, 2], {}, {"a": 1}, "2015-06-17")
_NUMBERS = (
    *(0, -1, 1, 2, 1.5, -0.0, 1e-320, 1e308, -1e308, 65536, 2**31, -(2**31), 2**32, 2**53 + 1, 2**63, 2**64, 10**30),
    *(10**400, float("nan"), float("inf"), -float("inf")),
)
_WORDS = (
    *("", " ", "\n", "\0", "é", "日本", "🐈", "\u202e", "\x1b[31m", "a" * 5000, "a " * 3000, "../../etc/passwd"),
    *("/dev/zero", "~", "~/x", ".", "data", "prob", "noise:0x0", "noise:99999x99999", "L3", "%s%n", "1e999", "nan"),
)  # fmt: skip


def in_values(rng, value, toml=False):
    """(the fault, the value with one place changed); for TOML only what TOML can say."""
    value = json.loads(json.dumps(value))
    places = list(_places(value))
    holder, key, path = rng.choice(places)
    change = rng.randrange(14)
    before = holder[key]
    if change == 0:
        del holder[key]
        return f"no {path}", value
    if change == 1 and isinstance(holder, dict):
        new = rng.choice(_WORDS[: -1 if toml else None])
        holder[new] = holder.pop(key)
        return f"{path} is called {new[:20]!r}", value
    if change == 2 and isinstance(holder, dict):
        holder[rng.choice(("new", "version", "format", "Kind", "é", "a" * 2000))] = rng.choice((1, "x", [1], {"a": 1}))
        return f"something beside {path}", value
    if change == 3:
        holder[key] = _deep(rng.choice((3, 31, 40, 200 if toml else 700)), rng.random() < 0.5)
        return f"{path} is deep", value
    after = before
    while repr(after) == repr(before) or (toml and not _is_toml(after)):
        after = _other_value(rng, before)
    holder[key] = after
    return f"{path} = {repr(after)[:40]}", value


def _is_toml(value):
    if isinstance(value, (list, dict)):
        return all(map(_is_toml, value.values() if isinstance(value, dict) else value))
    return value is not None


def _deep(levels, in_list):
    value = 1
    for _ in range(levels):
        value = [value] if in_list else {"a": value}
    return value


def _places(value, path=""):
    """(holder, key, path) of every value in it."""
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key, f"{path}.{key}".lstrip(".")
            yield from _places(value[key], f"{path}.{key}")


def _other_value(rng, before):
    if rng.random() < 0.3:
        return rng.choice(_OTHER_KINDS)
    if isinstance(before, bool):
        return rng.choice((not before, 0, 1, "true"))
    if isinstance(before, (int, float)):
        return rng.choice((*_NUMBERS, before + 1, before - 1, before * 1000, -before, str(before), [before]))
    if isinstance(before, str):
        longer = (before + "x", before.upper(), before + "\0", " " + before, before[:-1], before * 200, [before])
        return rng.choice((*_WORDS, *longer))
    if isinstance(before, list):
        return rng.choice(
            ([], before[:-1], before + before[:1], before * 500, [before], list(reversed(before)), [None])
        )
    if isinstance(before, dict):
        return rng.choice(({}, [*before.values()], list(before), {"": before}, {**before, "": 1}))
    return rng.choice((*_NUMBERS, *_WORDS))


def in_text(rng, text):
    """(the fault, the text with one place changed)."""
    place = rng.randrange(len(text))
    line = text[: text.find("\n", place) + 1 or len(text)]
    change = rng.randrange(9)
    if change == 0:
        return "cut off", text[:place]
    if change == 1:
        return "more at the end", text + rng.choice(("}", "]", "x", "\0", "[", text))
    if change == 2:
        return "a byte order mark", "\ufeff" + text
    if change == 3:
        return "a line twice", line + text[line.rfind("\n", 0, -1) + 1 :]
    if change == 4:
        return "one less", text[:place] + text[place + 1 :]
    if change == 5:
        return "another line end", text.replace("\n", "\r\n")
    if change == 6:
        numbers = list(re.finditer(r"\d+", text))
        found = rng.choice(numbers)
        number = rng.choice(("9" * 5000, "1e400", "0x10", "01", "1_0", "+1", "1.", "-0", "NaN", "-Infinity", "١"))
        return f"the number {number[:9]}", text[: found.start()] + number + text[found.end() :]
    new = rng.choice(('"', "\\", "\\ud800", "\\u0000", "{", "[", ",", ":", "=", "#", "é", "\x1b", "'", "\t"))
    return f"a {new!r}", text[:place] + new + text[place:]


def in_time(text):
    """A recipe's text with no more work than can be waited for: a million steps are no fault of the file."""
    return re.sub(r"((?:iter_n|frame)\W{1,5})\d{3,}(?![\d.]*e)", r"\g<1>12", text)


# --- Definitions of networks -----------------------------------------------------------------------------------------

_LARGE = (2**16, 2**20, 2**31 - 1, 2**32 - 1)


def in_definition(rng, net):
    """The fault, in words, that is now in a network's definition, a message."""
    while True:
        change = rng.choice(_DEFINITION_FAULTS)
        layer = rng.choice(net.layer)
        fault = change(rng, net, layer)
        if fault:
            return f"{layer.name}: {fault}"


def _kernel(rng, net, layer):
    parameters = _window(layer)
    if parameters is None:
        return None
    kind, value = rng.choice(("kernel", "stride", "pad")), rng.choice((0, 1, 2, 3, 5, 7, 31, 100, 227, 300, *_LARGE))
    way = rng.randrange(4)
    if way == 0:
        setattr(parameters, f"{kind}_{rng.choice('hw')}", value)
        return f"{kind} of one side {value}"
    if way == 1:
        setattr(parameters, f"{kind}_h", value)
        setattr(parameters, f"{kind}_w", rng.choice((0, 1, 3)))
    elif layer.type == "Pooling":
        setattr(parameters, "kernel_size" if kind == "kernel" else kind, value)
    else:
        sizes = getattr(parameters, "kernel_size" if kind == "kernel" else kind)
        del sizes[: rng.randrange(2)]
        sizes.append(value)
    return f"{kind} {value}"


def _window(layer):
    if layer.type in ("Convolution", "Deconvolution", "Im2col"):
        return layer.convolution_param
    return layer.pooling_param if layer.type == "Pooling" else None


def _convolution(rng, net, layer):
    if layer.type not in ("Convolution", "Deconvolution"):
        return None
    parameters = layer.convolution_param
    name = rng.choice(("dilation", "group", "num_output", "axis", "bias_term", "force_nd_im2col", "engine"))
    if name == "dilation":
        parameters.dilation.extend(rng.choice(((0,), (2,), (3, 1), (1, 1, 1), (200,), (2**31 - 1,), (2**32 - 1,))))
    elif name in ("bias_term", "force_nd_im2col"):
        setattr(parameters, name, not getattr(parameters, name))
    elif name == "axis":
        parameters.axis = rng.choice((0, 2, 3, 4, -1, -4, 2**31 - 1, -(2**31)))
    elif name == "engine":
        parameters.engine = rng.randrange(3)
    else:
        setattr(parameters, name, rng.choice((0, 1, 2, 3, 4, 7, 16, 64, 1000, *_LARGE)))
    return f"{name} {str(getattr(parameters, name))[:20]}"


def _pooling(rng, net, layer):
    if layer.type != "Pooling":
        return None
    name = rng.choice(("pool", "global_pooling", "engine"))
    setattr(layer.pooling_param, name, rng.randrange(2 if name == "global_pooling" else 3))
    return name


def _bottom(rng, net, layer):
    if not layer.bottom:
        return None
    place, later = rng.randrange(len(layer.bottom)), rng.choice(net.layer)
    change = rng.randrange(5)
    if change == 0:
        del layer.bottom[place]
        return "one bottom less"
    if change == 1:
        layer.bottom.append(rng.choice(list(layer.bottom)))
        return "the same bottom twice"
    new = rng.choice(("", "nobody", "data", layer.top[0] if layer.top else "", later.top[0] if later.top else "é"))
    layer.bottom[place] = new
    return f"reads {new!r}"


def _top(rng, net, layer):
    if not layer.top:
        return None
    place, change, other = rng.randrange(len(layer.top)), rng.randrange(4), rng.choice(net.layer)
    if change == 0:
        del layer.top[place]
        return "one top less"
    if change == 1:
        layer.top.append(rng.choice((layer.top[0], "more", "")))
        return "one top more"
    new = rng.choice(("", "x", "data", "é", "a" * 3000, *other.top[:1], *layer.bottom[:1]))
    layer.top[place] = new
    return f"makes {new[:20]!r}"


def _type(rng, net, layer):
    layer.type = rng.choice((*sorted(caffe.layer_type_list()), "", "convolution", "Nothing"))
    return f"of the type {layer.type!r}"


def _name(rng, net, layer):
    layer.name = rng.choice(
        ("", "data", "prob", "é", "a\nb", "a" * 3000, "\x1b[31m", "a/b", rng.choice(net.layer).name)
    )
    return f"called {layer.name[:20]!r}"


def _parameter(rng, net, layer):
    change = rng.randrange(3)
    if change == 0:  # shared by layers of other shapes
        for each in [layer, rng.choice(net.layer)]:
            while len(each.param) < 2:
                each.param.add()
            each.param[rng.randrange(2)].name = "shared"
        return "shares its parameters"
    while len(layer.param) < rng.choice((1, 2, 3, 40)):
        layer.param.add()
    parameter = rng.choice(layer.param)
    if change == 1:
        parameter.lr_mult = rng.choice((0.0, -1.0, float("nan"), float("inf")))
    else:
        parameter.share_mode = rng.randrange(2)
    return "a parameter's setting"


def _own_parameter(rng, net, layer):
    """Another value in what belongs to this type of layer."""
    own = [
        (field, value)
        for field, value in layer.ListFields()
        if field.name.endswith("_param") and field.message_type is not None
    ]
    if not own or layer.type == "Input":
        return None
    field, value = rng.choice(own)
    inner = rng.choice(field.message_type.fields)
    if inner.message_type is not None:
        return None
    new = _scalar(rng, inner)
    target = getattr(value, inner.name)
    if hasattr(target, "append"):
        target.append(new)
    else:
        setattr(value, inner.name, new)
    return f"{field.name}.{inner.name} = {str(new)[:20]}"


def _scalar(rng, field):
    kind = field.cpp_type
    if kind == field.CPPTYPE_STRING:
        return rng.choice(("", "x", "/dev/zero", "é"))
    if kind == field.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if kind == field.CPPTYPE_ENUM:
        return rng.choice(field.enum_type.values).number
    if kind in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return rng.choice((0.0, 1.0, -1.0, 0.5, 1e30, 1e-30, float("nan"), float("inf")))
    if kind in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64):
        return rng.choice((0, 1, 2, 3, 4, 5, 100, *_LARGE))
    return rng.choice((0, 1, 2, 3, 4, -1, -2, -4, -5, 100, 2**31 - 1, -(2**31)))


def _size(rng, net, layer):
    if layer.type != "Input":
        return None
    dims, change = layer.input_param.shape[0].dim, rng.randrange(4)
    if change == 0:
        dims.append(1)
        return "five dimensions"
    if change == 1:
        layer.input_param.shape.add(dim=[1, 3, 5, 5])
        return "two shapes"
    place = rng.randrange(4)
    small = (0, 1, 2, 3, 4, 10, 30, 63, 64, 500, 1000, -1)
    dims[place] = rng.choice((*small, 2**15, 2**20, 2**31 - 1, 2**31, 2**62, 2**63 - 1))
    return f"the input has {list(dims)}"


def _place(rng, net, layer):
    layers = list(net.layer)
    index = layers.index(layer)
    change = rng.randrange(4)
    if change == 0:
        del layers[index]
    elif change == 1:
        layers.insert(rng.randrange(len(layers) + 1), layer)
    elif change == 2:
        other = rng.randrange(len(layers))
        layers[index], layers[other] = layers[other], layers[index]
    else:
        layers = layers[:index]
    layers = [type(layer).FromString(each.SerializePartialToString()) for each in layers]
    del net.layer[:]
    net.layer.extend(layers)
    return ("missing", "twice", "in another's place", "and all behind it missing")[change]


def _many(rng, net, layer):
    """As many as nobody has, and still no more than Caffe takes."""
    if not layer.top:
        return None
    top, count = layer.top[0], rng.choice((50, 300))
    change = rng.randrange(3)
    for number in range(count):
        if change == 0:
            net.layer.add(name=f"more {number}", type="ReLU", bottom=[top], top=[top])
        elif change == 1:
            before = f"more {number - 1}" if number else top
            net.layer.add(name=f"more {number}", type="Power", bottom=[before], top=[f"more {number}"])
        else:
            net.layer.add(name=f"more {number}", type="Power", bottom=[top], top=[f"more {number}"])
    return f"{count} layers behind it"


def _whole_net(rng, net, layer):
    change = rng.randrange(6)
    if change == 0:
        net.debug_info = True
        return "tells what it does"
    if change == 1:
        net.force_backward = True
        return "always goes back"
    if change == 2:
        net.input.append(rng.choice(("data", "more")))
        net.input_dim.extend([1, 3, 10, 10])
        return "an older input too"
    if change == 3:
        net.state.level, net.state.phase = rng.choice((-1, 3)), rng.randrange(2)
        return "a state"
    if change == 4:
        layer.include.add(phase=rng.randrange(2), min_level=rng.choice((0, 3)))
        return "only in one phase"
    net.layers.add(
        name="old", type=rng.choice(caffe_pb2.V1LayerParameter.LayerType.values()), bottom=["data"], top=["o"]
    )
    return "an older layer"


def _loss(rng, net, layer):
    change = rng.randrange(4)
    if change == 0:
        layer.loss_weight.extend([rng.choice((1.0, 0.0, float("nan")))] * rng.choice((1, 2, 40)))
    elif change == 1:
        layer.propagate_down.extend([rng.random() < 0.5] * rng.choice((1, 2, 40)))
    elif change == 2:
        layer.blobs.add(data=[1.0, 2.0]).shape.dim.append(rng.choice((1, 2, 2**40)))
    else:
        layer.phase = rng.randrange(2)
    return ("a loss", "a way back", "weights inside", "a phase")[change]


_DEFINITION_FAULTS = (
    *(_kernel,) * 4,
    *(_convolution,) * 4,
    *(_own_parameter,) * 3,
    *(_bottom,) * 2,
    *(_top,) * 2,
    *(_type, _type, _name, _parameter, _pooling, _size, _size, _size, _place, _place, _many, _whole_net, _loss),
)

# --- Weights ---------------------------------------------------------------------------------------------------------


# In which files hold weights: as now, with the shapes of 2014, in double precision, and so on.
WAYS = ("new", "legacy", "double", "old layers", "gradients", "groups")


def whole_weights(way, weights, definition):
    """(definition, weights): a small network and its weights in one of the `WAYS`.

    Args:
        way: which.
        weights: the bytes of a caffemodel.
        definition: its prototxt.
    """
    net = caffe_pb2.NetParameter.FromString(weights)
    for layer in net.layer:
        for blob in layer.blobs:
            if way == "legacy":
                shape = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
                blob.num, blob.channels, blob.height, blob.width = shape
                blob.ClearField("shape")
            elif way == "double":
                blob.double_data.extend(blob.data)
                blob.ClearField("data")
            elif way == "gradients":
                blob.diff.extend(blob.data)
    if way == "groups":
        definition = definition.replace(
            "num_output: 4 kernel_size: 3 pad: 1", "num_output: 4 group: 2 kernel_size: 3 pad: 1"
        )
        blob = next(layer for layer in net.layer if layer.name == "right").blobs[0]
        numbers = list(blob.data)[: len(blob.data) // 2]
        blob.shape.dim[1] //= 2
        del blob.data[:]
        blob.data.extend(numbers)
    elif way == "old layers":
        kinds = {"Convolution": "CONVOLUTION", "InnerProduct": "INNER_PRODUCT"}
        for layer in net.layer:
            if layer.type in kinds:
                kind = caffe_pb2.V1LayerParameter.LayerType.Value(kinds[layer.type])
                old = net.layers.add(name=layer.name, type=kind, bottom=layer.bottom, top=layer.top)
                old.blobs.extend(layer.blobs)
        del net.layer[:]
    return definition, net


def in_weights(rng, net):
    """(the fault, the bytes of the weights with it)."""
    layers = net.layers if net.layers else net.layer
    holders = [layer for layer in layers if layer.blobs]
    layer = rng.choice(holders)
    blob = rng.choice(layer.blobs)
    change = rng.choice(_WEIGHT_FAULTS)
    if change in (_unpacked, _raw):
        return change(rng, net, layer, blob)
    fault = change(rng, layers, layer, blob)
    return f"{layer.name[:20]}: {fault}", net.SerializePartialToString()


def _numbers(blob):
    return blob.data if len(blob.data) else blob.double_data


def _dimension(rng, layers, layer, blob):
    value = rng.choice((0, 1, 2, 3, -1, 7, 2**31 - 1, 2**31, 2**62, -(2**63), 2**63 - 1))
    if len(blob.shape.dim):
        blob.shape.dim[rng.randrange(len(blob.shape.dim))] = value
    else:
        value = max(-(2**31), min(value, 2**31 - 1))
        setattr(blob, rng.choice(("num", "channels", "height", "width")), value)
    return f"a side of {value}"


def _dimensions(rng, layers, layer, blob):
    dims, change = blob.shape.dim, rng.randrange(5)
    if change == 0:
        dims.append(rng.choice((1, 1, 2)))
    elif change == 1 and len(dims):
        dims.pop()
    elif change == 2 and len(dims):
        turned = [*dims[1:], dims[0]]
        del dims[:]
        dims.extend(turned)
    elif change == 3:
        dims.extend([1] * 40)
    else:
        blob.num = rng.choice((0, 1, -1))
    return "other dimensions"


def _one_number(rng, layers, layer, blob):
    numbers, change = _numbers(blob), rng.randrange(4)
    if change == 0:
        numbers.pop()
        return "a number less"
    if change == 1:
        numbers.append(0.5)
        return "a number more"
    if change == 2:
        del numbers[:]
        return "no numbers"
    extra = blob.double_data if len(blob.data) else blob.data
    extra.extend([0.5] * rng.choice((1, len(numbers))))
    return "numbers of two kinds"


def _no_number(rng, layers, layer, blob):
    numbers = _numbers(blob)
    value = rng.choice((float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 1e-45, 1e30))
    every = rng.random() < 0.5
    for place in range(len(numbers)) if every else [rng.randrange(len(numbers))]:
        numbers[place] = value
    return f"{'all numbers' if every else 'a number'} {value}"


def _layer(rng, layers, layer, blob):
    change, other = rng.randrange(5), rng.choice(layers)
    if change == 0:
        layers.remove(layer)
        return "missing"
    if change == 1:
        layers.add().CopyFrom(layer)
        return "twice"
    if change == 2:
        layer.name = rng.choice(("", "x", "é", layer.name + " ", layer.name.upper(), "a" * 3000, "a\nb"))
        return "called something else"
    if change == 3:
        layer.name = other.name
        return f"called {other.name}"
    blobs = list(other.blobs)
    copies = [type(each).FromString(each.SerializePartialToString()) for each in blobs]
    del layer.blobs[:]
    layer.blobs.extend(copies)
    return f"has the weights of {other.name}"


def _blobs(rng, layers, layer, blob):
    change = rng.randrange(4)
    if change == 0:
        layer.blobs.pop()
        return "a blob less"
    if change == 1:
        layer.blobs.add().CopyFrom(blob)
        return "a blob twice"
    if change == 2 and len(layer.blobs) > 1:
        first = type(blob).FromString(layer.blobs[0].SerializePartialToString())
        layer.blobs[0].CopyFrom(layer.blobs[1])
        layer.blobs[1].CopyFrom(first)
        return "its blobs exchanged"
    layer.blobs.add()
    return "an empty blob more"


def _gradient(rng, layers, layer, blob):
    field = rng.choice((blob.diff, blob.double_diff))
    field.extend([float("nan")] * rng.choice((1, len(_numbers(blob)), 2 * len(_numbers(blob)))))
    return "a gradient"


def _kind_of_layer(rng, layers, layer, blob):
    if isinstance(layer.type, str):
        layer.type = rng.choice(("", "x", "Python", "ReLU", "Data", "é"))
    else:
        layer.type = rng.choice(caffe_pb2.V1LayerParameter.LayerType.values())
    return f"of the type {layer.type}"


def _own_field(rng, layers, layer, blob):
    parameters = layer.convolution_param
    name = rng.choice(("group", "num_output", "kernel_h", "stride_h"))
    setattr(parameters, name, rng.choice((0, 2, 2**31 - 1)))
    return f"its {name}"


def _unpacked(rng, net, layer, blob):
    """The numbers of the file one by one, as a serialiser without packing writes them, with or without a fault."""
    numbers = list(_numbers(blob))
    fault = rng.choice(("nothing", "a number short", "half a number", "a wrong kind", "packed beside"))
    for field in ("data", "double_data"):
        blob.ClearField(field)
    mark = b"\x2d"  # field 5, four bytes
    written = b"".join(mark + struct.pack("<f", min(max(number, -3e38), 3e38)) for number in numbers)
    if fault == "a number short":
        written = written[:-5]
    elif fault == "half a number":
        written = written[:-2]
    elif fault == "a wrong kind":
        written = b"\x28\x07" + written[5:]
    elif fault == "packed beside":
        written += b"\x2a\x04" + struct.pack("<f", 1)
    inner = blob.SerializePartialToString() + written
    place = list(layer.blobs).index(blob)
    parts = [each.SerializePartialToString() for each in layer.blobs]
    parts[place] = inner
    del layer.blobs[:]
    blob_tag, layer_tag = (
        (b"\x32", b"\x12") if isinstance(layer, caffe_pb2.V1LayerParameter) else (b"\x3a", b"\xa2\x06")
    )
    packed = layer.SerializePartialToString() + b"".join(blob_tag + _varint(len(part)) + part for part in parts)
    (net.layers if net.layers else net.layer).remove(layer)
    return f"{layer.name}: unpacked, {fault}", net.SerializePartialToString() + layer_tag + _varint(
        len(packed)
    ) + packed


def _varint(number):
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes((*found, number))


def _raw(rng, net, layer, blob):
    """Something in the bytes of the message that no field is."""
    content = net.SerializePartialToString()
    change = rng.randrange(4)
    if change == 0:
        return "an unknown field", content + b"\xfa\xff\x07" + _varint(200_000) + bytes(200_000)
    if change == 1:
        return "the whole file twice", content * 2
    if change == 2:
        return "a group that does not end", content + b"\xfb\xff\x07" * rng.choice((1, 200))
    kept = rng.randrange(len(content))
    return f"only {kept} of {len(content)} bytes", content[:kept]


_WEIGHT_FAULTS = (
    *(_dimension, _dimension, _dimensions, _one_number, _no_number, _no_number, _layer, _layer, _blobs, _gradient),
    *(_kind_of_layer, _own_field, _unpacked, _unpacked, _raw),
)

# --- Keras's files ---------------------------------------------------------------------------------------------------


def in_keras(rng, arrays):
    """(the fault, the bytes of an HDF5 file of these {path: array} with it)."""
    name = rng.choice(list(arrays))
    array, fault = arrays[name], rng.choice(list(_KERAS_FAULTS))
    how = rng.choice(({}, {"compression": "gzip"}, {"shuffle": True, "fletcher32": True, "chunks": True}))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=rng.choice(("earliest", "latest"))) as file:
        for path, each in arrays.items():
            if path != name:
                file.create_dataset(path, data=each, **how)
        _KERAS_FAULTS[fault](rng, file, name, array, how)
    content = buffer.getvalue()
    if fault == "a word":
        place = rng.randrange(8, min(len(content), 3000) - 4)
        word = struct.pack("<I", rng.choice((0, 1, 2**31, 2**32 - 1, rng.randrange(2**32))))
        content = content[:place] + word + content[place + 4 :]
    elif fault == "cut off":
        content = content[: rng.randrange(len(content))]
    return f"{name}: {fault}", content


def _whole(rng, file, name, array, how):
    file.create_dataset(name, data=array, **how)


def _typed(kind):
    def write(rng, file, name, array, how):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            file.create_dataset(name, data=array.astype(kind), **how)

    return write


def _spoilt(value):
    def write(rng, file, name, array, how):
        array = array.copy()
        array.flat[rng.randrange(array.size)] = value
        file.create_dataset(name, data=array, **how)

    return write


def _linked(make):
    def write(rng, file, name, array, how):
        file[name] = make()

    return write


def _of_type(kind, **options):
    def write(rng, file, name, array, how):
        file.create_dataset(name, **{"shape": array.shape, "dtype": kind, **options})

    return write


_KERAS_FAULTS = {
    "a word": _whole,
    "cut off": _whole,
    "missing": lambda rng, file, name, array, how: None,
    "renamed": lambda rng, file, name, array, how: _whole(rng, file, name + "x", array, how),
    "twice": lambda rng, file, name, array, how: [_whole(rng, file, each + name, array, how) for each in ("", "x/")],
    "transposed": lambda rng, file, name, array, how: _whole(rng, file, name, array.T, how),
    "flat": lambda rng, file, name, array, how: _whole(rng, file, name, array.ravel(), how),
    "one axis more": lambda rng, file, name, array, how: _whole(rng, file, name, array[None], how),
    "one number": lambda rng, file, name, array, how: file.create_dataset(name, data=1.0),
    "nothing": lambda rng, file, name, array, how: file.create_dataset(name, data=h5py.Empty("f4")),
    "no numbers": lambda rng, file, name, array, how: file.create_dataset(name, data=array[:0]),
    "double": _typed("f8"),
    "half": _typed("f2"),
    "big-endian": _typed(">f4"),
    "whole numbers": _typed("i4"),
    "complex": _typed("c8"),
    "yes or no": _typed("?"),
    "bytes": _typed("S9"),
    "not a number": _spoilt(np.nan),
    "infinite": _spoilt(np.inf),
    "texts": _of_type(h5py.string_dtype()),
    "records": _of_type([("a", "f4"), ("b", "i2")]),
    "lists": _of_type(h5py.vlen_dtype("f4")),
    "huge": _of_type("f4", shape=(2**20, 2**20), chunks=(64, 64)),
    "a group": lambda rng, file, name, array, how: file.create_group(name),
    "a link to nothing": _linked(lambda: h5py.SoftLink("/nowhere")),
    "a link to itself": _linked(lambda: h5py.SoftLink("/")),
    "another file": _linked(lambda: h5py.ExternalLink("/etc/hostname", "/x")),
    "a type": lambda rng, file, name, array, how: file.__setitem__(name, np.dtype("f8")),
    "outside": _of_type("f4", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)]),
}  # fmt: skip


def in_zip(rng, content):
    """(the fault, the bytes of a wheel with it)."""
    change = rng.randrange(7)
    central = content.rindex(b"PK\1\2", 0, content.rindex(b"PK\1\2"))
    if change == 0:
        return "wheel: encrypted", content[:6] + b"\1" + content[7 : central + 8] + b"\1" + content[central + 9 :]
    if change == 1:
        return "wheel: an unknown method", content[: central + 10] + b"\x63" + content[central + 11 :]
    if change == 2:
        return "wheel: another member", content.replace(b"x/w.h5", b"x/w.h6")
    if change == 3:
        place = rng.randrange(60, central)
        return "wheel: a packed byte", content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[
            place + 1 :
        ]
    if change == 4:
        return "wheel: a larger file", content[: central + 24] + struct.pack("<I", 2**31) + content[central + 28 :]
    if change == 5:
        return "wheel: a smaller file", content[: central + 24] + struct.pack("<I", 100) + content[central + 28 :]
    return "wheel: cut off", content[: rng.randrange(len(content))]
