// The page of the playground: it shows the session's events and sends the visitor's actions to the session.
// `render` builds it once; `state` holds its data; each event of the session has a function of its name in `on`.

const PIECE = 512 * 1024; // bytes of a file sent at a time
const MASK_SIDE = 800; // pixels: the longer side of a painted mask

/** An element: its tag with classes ("p.note"), its attributes and listeners ("onclick"), its children. */
function h(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

const seconds = (s) => (s < 90 ? `${Math.max(1, Math.round(s))} s` : `${Math.round(s / 60)} min`);
const picture = (address) => (address ? h("img", { src: address, alt: "" }) : h("span.blank"));
const short = (gives) => gives.split(":")[0];

function render({ model, el }) {
  const state = { setup: null, form: null, running: false, dreamt: false, file: {}, curve: [], frames: 0,
    tried: {}, painted: false, stroke: null };
  const ui = build();
  el.append(ui.root);
  if (document.body.dataset.voila) document.documentElement.lang = "en";
  const send = (message, ...buffers) => model.send(message, undefined, buffers);

  // ------------------------------------------------------------------------------------------------ the page's parts

  function build() {
    const ui = {};
    const file = (which, label) =>
      h("input.hidden", { type: "file", accept: "image/*", "aria-label": label, "data-for": which, onchange: (e) => {
        if (e.target.files[0]) upload(which, e.target.files[0]);
        e.target.value = "";
      } });
    ui.after = h("img.after", { alt: "" });
    ui.before = h("img.before", { alt: "" });
    ui.slider = h("input.slider", { type: "range", min: 0, max: 100, value: 0, step: "any", hidden: true,
      "aria-label": "Compare: how much of the picture before the dream is shown, from the left",
      oninput: () => compare(Number(ui.slider.value)) });
    ui.frame = h("div.frame", {}, ui.after, ui.before, h("div.divider", { "aria-hidden": "true" }),
      h("div.knob", { "aria-hidden": "true" }, "‹ ›"), ui.slider,
      ui.mask = h("canvas.mask", { role: "img", "aria-label": "The painted mask: what is painted is dreamt",
        onpointerdown: paint, onpointermove: paint, onpointerup: paint, onpointercancel: paint }),
      h("div.dropping", { "aria-hidden": "true" }, "Drop it here"));
    ui.stage = h("figure.stage", { ondragover: drag, ondragleave: drag, ondrop: drop }, ui.frame,
      ui.caption = h("figcaption.caption", {}, ""));
    ui.dream = h("button.primary", { type: "button", onclick: () => dream(false) }, "Dream");
    ui.stop = h("button.primary", { type: "button", hidden: true, onclick: () => send({ do: "stop" }) }, "Stop");
    ui.again = h("button", { type: "button", hidden: true, onclick: () => dream(true),
      title: "Use this dream as the picture and dream again" }, "Dream again");
    ui.png = h("button", { type: "button", hidden: true, onclick: () => send({ do: "download", kind: "png" }),
      title: "The picture as a PNG, with its recipe inside" }, "Download");
    ui.jpg = h("button.plain", { type: "button", hidden: true, onclick: () => send({ do: "download", kind: "jpg" }),
      title: "A smaller file, also with its recipe inside" }, "JPEG");
    ui.brush = h("button.plain", { type: "button", "aria-pressed": "false", onclick: () => painting(!isPainting()),
      title: "Paint on the picture; only what is painted is dreamt" }, "Paint where to dream");
    ui.brushSize = h("input", { type: "range", min: 2, max: 40, value: 12, "aria-label": "Size of the brush" });
    ui.eraser = h("button", { type: "button", "aria-pressed": "false",
      onclick: () => ui.eraser.setAttribute("aria-pressed", String(!isErasing())) }, "Erase");
    ui.chooseMask = h("input.hidden", { type: "file", accept: "image/*", "aria-label": "Choose a mask from this device",
      onchange: (e) => { if (e.target.files[0]) loadMask(e.target.files[0]); e.target.value = ""; } });
    ui.brushes = h("div.brushes", { hidden: true, role: "group", "aria-label": "The brush" },
      h("label", {}, "Brush ", ui.brushSize), ui.eraser,
      h("button", { type: "button", onclick: clearMask }, "Clear"),
      h("button.plain", { type: "button", onclick: () => ui.chooseMask.click() }, "Choose a mask"),
      h("button.plain", { type: "button", onclick: saveMask,
        title: "The mask as a file; deepdream replay --mask needs it" }, "Save the mask"), ui.chooseMask);
    ui.bar = h("div.progress", { role: "progressbar", "aria-label": "The dream's progress", "aria-valuemin": 0,
      "aria-valuemax": 100 }, h("i"));
    ui.status = h("p.status", { role: "status", "aria-live": "polite" });
    ui.left = h("span.left");
    ui.curve = h("div.curve", { role: "img", "aria-label": "The objective, step by step" });
    ui.notice = h("div.notice", { role: "alert", hidden: true });
    ui.pictures = h("div.pictures", { role: "group", "aria-label": "Pictures to dream on" });
    ui.models = h("select", { "aria-label": "Network", onchange: () => chooseModel(ui.models.value) });
    ui.ladder = h("div.ladder", { role: "radiogroup", "aria-label": "What to dream: layers from shallow to deep" });
    ui.layer = h("p.layer");
    ui.tryAll = h("button", { type: "button", onclick: tryLayers,
      title: "A small dream on your picture at each layer, in the place of the examples" },
      "Try every layer on this picture");
    ui.guide = h("div.guide");
    ui.label = h("input", { type: "text", list: "deepdream-labels", placeholder: "none", autocomplete: "off",
      "aria-label": "A label to dream", onchange: () => chooseLabel(ui.label.value) });
    ui.labels = h("datalist", { id: "deepdream-labels" });
    ui.steer = h("p.layer");
    ui.numbers = h("div.numbers");
    ui.fine = h("div.numbers");
    ui.seed = h("input", { type: "text", inputmode: "numeric", placeholder: "a new one each time", "aria-label": "Seed",
      onchange: () => { chooseSeed(ui.seed.value); } });
    ui.choosePicture = file("picture", "Choose a picture from this device");
    ui.chooseGuide = file("guide", "Choose a guide picture from this device");
    ui.root = h("main.deepdream", { "data-frames": "0" },
      h("header", {}, h("h1", {}, "deepdream"),
        h("p", {}, "A network that learnt to recognise things looks at a picture and makes more of what it sees.")),
      ui.stage,
      h("div.actions", {}, ui.dream, ui.stop, ui.again, ui.png, ui.jpg, ui.brush, ui.left), ui.brushes,
      ui.bar, h("div.telling", {}, ui.status, ui.curve), ui.notice,
      h("section", {}, h("h2", {}, "Picture"), ui.pictures, ui.choosePicture,
        h("p.hint", {}, "If you choose a picture that was dreamt here, its settings are restored.")),
      h("section", {}, h("div.row", {}, h("h2", {}, "Layer"), ui.models),
        h("p.scale", { "aria-hidden": "true" },
          h("span", {}, "shallow: strokes"), h("i"), h("span", {}, "deep: creatures")),
        ui.ladder, ui.layer, ui.tryAll),
      h("section.pair", {},
        h("div", {}, h("h2", {}, "Guide"), h("p.hint", {}, "Dream in the features of another picture."),
          ui.guide, ui.chooseGuide),
        h("div", {}, h("h2", {}, "Label"), h("p.hint", {}, "Or dream one thing that the network knows by name."),
          ui.label, ui.labels)),
      h("section", {}, h("h2", {}, "Settings"), ui.numbers,
        h("details", {}, h("summary", {}, "More settings"), ui.fine),
        h("div.number", {}, h("label", {}, "Seed"), ui.seed,
          h("button.plain", { type: "button", onclick: () => chooseSeed("") }, "new"))),
      h("footer", {}, "Based on Google's DeepDream of 2015. Your pictures are not kept after you leave."));
    return ui;
  }

  function fill() {
    const { pictures, models } = state.setup;
    const pick = (name, title, image, onclick) =>
      h("button.pick", { type: "button", "data-name": name, title, "aria-pressed": "false", onclick },
        image, h("span", {}, name));
    const noise = () => `noise:${state.form.max_size}x${Math.round((state.form.max_size * 2) / 3)}`;
    ui.pictures.replaceChildren(
      h("button.pick.own", { type: "button", onclick: () => ui.choosePicture.click() },
        h("span.plus", { "aria-hidden": "true" }, "+"), h("span", {}, "yours")),
      ...pictures.map(({ name, shows, thumb }) => pick(name, shows, picture(thumb), () => choose(name))),
      pick("noise", "grey noise: the network starts from nothing", h("span.blank.noise"), () => choose(noise())));
    ui.models.replaceChildren(...models.map(({ name, here }) =>
      h("option", { value: name }, here ? name : `${name} (will be downloaded)`)));
    const finer = ["step_size", "octave_scale", "jitter"];
    ui.inputs = {};
    for (const [name, number] of Object.entries(state.setup.numbers)) {
      const id = `deepdream-${name}`;
      const output = h("output", { for: id });
      const input = h("input", { id, type: "range", min: number.minimum, max: number.maximum, step: number.step,
        oninput: () => { state.form[name] = Number(input.value); output.textContent = say(name); } });
      ui.inputs[name] = { input, output };
      const row = h("div.number", {}, h("label", { for: id }, number.title), input, output);
      (finer.includes(name) ? ui.fine : ui.numbers).append(row);
    }
    showGuide(null);
    showForm();
  }

  function showForm() {
    const { form } = state;
    ui.models.value = form.model;
    for (const [name, { input, output }] of Object.entries(ui.inputs)) {
      input.value = form[name];
      output.textContent = say(name);
    }
    ui.seed.value = form.seed ?? "";
    ui.label.value = form.label;
    showLadder();
  }

  function say(name) {
    const value = state.form[name];
    if (name === "max_size") return `${value} px`;
    return name === "strength" ? `${Math.round(value * 100)} %` : String(Math.round(value * 1000) / 1000);
  }

  function showLadder() {
    const chosen = current(), { form } = state;
    const rungs = [...chosen.ladder];
    if (!rungs.some(({ layer }) => layer === form.end))
      rungs.push({ layer: form.end, gives: "another layer", thumb: null });
    ui.ladder.replaceChildren(...rungs.map(({ layer, gives, thumb }) =>
      h("label.rung", { title: layer },
        h("input", { type: "radio", name: "deepdream-layer", value: layer, checked: layer === form.end,
          disabled: Boolean(form.label), onchange: () => { form.end = layer; showLayer(); } }),
        picture(state.tried[`${chosen.name} ${layer}`] ?? thumb), h("span", {}, short(gives) || layer))));
    ui.ladder.classList.toggle("off", Boolean(form.label));
    if (ui.labels.dataset.model !== chosen.name) {
      ui.labels.replaceChildren(...chosen.labels.map((label) => h("option", { value: label })));
      ui.labels.dataset.model = chosen.name;
    }
    showLayer();
  }

  function showLayer() {
    const { end, label } = state.form;
    const rung = current().ladder.find(({ layer }) => layer === end);
    ui.layer.replaceChildren(...(label ? ["The label determines the layer: ", h("code", {}, label)]
      : [h("code", {}, end), rung?.gives ? ` gives ${rung.gives}.` : ""]));
  }

  function showGuide(guide, url) {
    const remove = () => { send({ do: "unguide" }); showGuide(null); };
    const offer = (name) =>
      h("button.plain", { type: "button", onclick: () => send({ do: "choose", name, for: "guide" }) }, name);
    ui.guide.replaceChildren(...(guide
      ? [h("img", { src: url, alt: `The guide: ${guide.name}` }), h("span", {}, guide.name),
         h("button.plain", { type: "button", "aria-label": "Remove the guide", onclick: remove }, "remove")]
      : [h("button", { type: "button", onclick: () => ui.chooseGuide.click() }, "Choose a picture"),
         offer("coffee"), offer("face")]));
  }

  const current = () => state.setup.models.find(({ name }) => name === state.form.model);

  // --------------------------------------------------------------------------------------------- the visitor's actions

  function choose(name) {
    say_("");
    send({ do: "choose", name, for: "picture" });
  }

  function chooseModel(name) {
    state.form.model = name;
    state.form.end = current().end;
    if (!current().labels.includes(state.form.label)) state.form.label = "";
    showForm();
  }

  function chooseLabel(text) {
    const wanted = text.trim().toLowerCase(), { labels } = current();
    const found = labels.find((label) => label.toLowerCase() === wanted)
      ?? labels.find((label) => label.toLowerCase().split(", ").includes(wanted));
    state.form.label = found ?? "";
    if (wanted && !found) notice(`The network does not know “${text.trim()}”; choose a label from the list.`);
    ui.label.value = state.form.label;
    showLadder();
  }

  function chooseSeed(text) {
    const seed = /^\d{1,10}$/.test(text.trim()) ? Number(text) : null;
    state.form.seed = seed != null && seed < 2 ** 32 ? seed : null;
    ui.seed.value = state.form.seed ?? "";
  }

  async function dream(again) {
    notice("");
    painting(false);
    state.shown = state.dreamt; // until the new one begins, the old one stays
    const mask = state.painted ? [await (await maskFile()).arrayBuffer()] : [];
    send({ do: "dream", form: state.form, again }, ...mask);
  }

  function tryLayers() {
    notice("");
    painting(false);
    state.shown = state.dreamt;
    send({ do: "try", model: state.form.model });
  }

  // ------------------------------------------------------------------------------------------------------- the brush

  const isPainting = () => ui.root.classList.contains("painting");
  const isErasing = () => ui.eraser.getAttribute("aria-pressed") === "true";

  function painting(on) {
    ui.root.classList.toggle("painting", on);
    ui.brushes.hidden = !on;
    ui.brush.setAttribute("aria-pressed", String(on));
    ui.brush.textContent = on ? "Done painting" : "Paint where to dream";
    if (on && !state.painted) clearMask();
    if (on) say_("Paint what is to be dreamt; the rest stays as it is.");
  }

  /** Forget the mask; the canvas gets the proportions of the picture that is shown. */
  function clearMask() {
    const { naturalWidth: width, naturalHeight: height } = ui.after;
    const scale = Math.min(1, MASK_SIDE / Math.max(width, height, 1));
    ui.mask.width = Math.max(1, Math.round(width * scale));
    ui.mask.height = Math.max(1, Math.round(height * scale));
    painted(false);
  }

  function painted(is) {
    state.painted = is;
    ui.root.classList.toggle("masked", is);
  }

  function paint(event) {
    event.preventDefault();
    const box = ui.mask.getBoundingClientRect();
    const at = [((event.clientX - box.left) * ui.mask.width) / box.width,
      ((event.clientY - box.top) * ui.mask.height) / box.height];
    if (event.type === "pointerdown") {
      ui.mask.setPointerCapture(event.pointerId);
      state.stroke = at;
    }
    if (!state.stroke) return;
    const pen = ui.mask.getContext("2d");
    pen.globalCompositeOperation = isErasing() ? "destination-out" : "source-over";
    pen.strokeStyle = "#fff";
    pen.lineCap = pen.lineJoin = "round";
    pen.lineWidth = (Number(ui.brushSize.value) / 100) * Math.max(ui.mask.width, ui.mask.height);
    pen.beginPath();
    pen.moveTo(...state.stroke);
    pen.lineTo(...at);
    pen.stroke();
    painted(true);
    state.stroke = event.type === "pointerup" || event.type === "pointercancel" ? null : at;
  }

  /** The mask as a PNG: white where it is painted, black elsewhere. */
  function maskFile() {
    const file = h("canvas", { width: ui.mask.width, height: ui.mask.height });
    const pen = file.getContext("2d");
    pen.fillRect(0, 0, file.width, file.height);
    pen.drawImage(ui.mask, 0, 0);
    return new Promise((done) => file.toBlob(done, "image/png"));
  }

  async function saveMask() {
    save(await maskFile(), "painted-mask.png");
  }

  async function loadMask(file) {
    let image;
    try {
      image = await createImageBitmap(file);
    } catch {
      notice(`${file.name} is not a picture that this browser can read; use a PNG`);
      return;
    }
    clearMask();
    const pen = ui.mask.getContext("2d");
    pen.drawImage(image, 0, 0, ui.mask.width, ui.mask.height);
    const pixels = pen.getImageData(0, 0, ui.mask.width, ui.mask.height), { data } = pixels;
    for (let i = 0; i < data.length; i += 4) {
      data[i + 3] = (data[i] + data[i + 1] + data[i + 2]) / 3; // grey becomes opacity
      data[i] = data[i + 1] = data[i + 2] = 255;
    }
    pen.putImageData(pixels, 0, 0);
    painted(true);
  }

  function drag(event) {
    event.preventDefault();
    ui.frame.classList.toggle("dragged", event.type === "dragover");
  }

  function drop(event) {
    drag(event);
    if (event.dataTransfer.files[0]) upload("picture", event.dataTransfer.files[0]);
  }

  function upload(which, file) {
    notice("");
    const { megabytes } = state.setup.limits;
    if (file.size > megabytes * 1e6) {
      notice(`${file.name} has ${(file.size / 1e6).toFixed(1)} MB; a file may have up to ${megabytes} MB here`);
      return;
    }
    state.file[which] = file;
    sendPiece(which, 0);
  }

  async function sendPiece(which, from) {
    const file = state.file[which];
    const piece = await file.slice(from, from + PIECE).arrayBuffer();
    if (file !== state.file[which]) return; // another one was chosen meanwhile
    say_(`Uploading ${file.name}: ${Math.round((100 * from) / Math.max(1, file.size))} %`);
    send({ do: "upload", for: which, name: file.name, size: file.size, first: from === 0 }, piece);
  }

  // --------------------------------------------------------------------------------------------------- the display

  function say_(text) {
    ui.status.textContent = text;
  }

  function notice(text, ...more) {
    ui.notice.hidden = !text;
    ui.notice.replaceChildren(text, ...more);
  }

  function show(image, blob, alt) {
    const old = image.src;
    image.src = URL.createObjectURL(blob);
    image.alt = alt;
    if (old.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(old), 2000);
  }

  /** Show the picture before the dream over the dream, up to `percent` from the left. */
  function compare(percent) {
    ui.frame.style.setProperty("--cut", `${percent}%`);
    ui.slider.value = percent;
    ui.slider.setAttribute("aria-valuetext", `${Math.round(percent)} % before, ${Math.round(100 - percent)} % dream`);
  }

  function save(blob, name) {
    const link = h("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  function mode(running, dreamt) {
    Object.assign(state, { running, dreamt });
    ui.dream.hidden = running;
    ui.stop.hidden = !running;
    for (const button of [ui.again, ui.png, ui.jpg]) button.hidden = running || !dreamt;
    ui.slider.hidden = running || !dreamt;
    ui.brush.disabled = ui.tryAll.disabled = running;
    ui.frame.classList.toggle("compared", !running && dreamt);
    ui.root.classList.toggle("running", running);
    ui.root.dataset.state = running ? "running" : dreamt ? "dreamt" : "ready";
    ui.left.textContent = "";
    if (running && document.activeElement === document.body) ui.stop.focus({ preventScroll: true });
  }

  function progress(part) {
    ui.bar.firstChild.style.width = `${100 * part}%`;
    ui.bar.setAttribute("aria-valuenow", Math.round(100 * part));
  }

  /** The objective's curve: a line for each octave, side by side. */
  function drawCurve() {
    const { curve, octaves, iterations } = state;
    const values = curve.filter(({ value }) => value != null);
    ui.curve.replaceChildren();
    if (values.length < 2) return;
    const all = values.map(({ value }) => value), least = Math.min(...all), most = Math.max(...all);
    const x = ({ octave, iteration }) => (200 * (octave * iterations + iteration + 0.5)) / (octaves * iterations);
    const y = ({ value }) => 38 - (36 * (value - least)) / (most - least || 1);
    const NS = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("viewBox", "0 0 200 40");
    svg.setAttribute("preserveAspectRatio", "none");
    for (let octave = 0; octave < octaves; octave++) {
      const line = document.createElementNS(NS, "polyline");
      const points = values.filter((value) => value.octave === octave);
      line.setAttribute("points", points.map((v) => `${x(v).toFixed(1)},${y(v).toFixed(1)}`).join(" "));
      svg.append(line);
    }
    ui.curve.append(svg);
    const [first, last] = [all[0], all.at(-1)].map((value) => value.toPrecision(3));
    ui.curve.setAttribute("aria-label", `The objective, step by step: from ${first} to ${last}`);
  }

  // ------------------------------------------------------------------------------------- the events of the session

  const on = {
    setup(message) {
      state.setup = message;
      state.form = { ...message.form };
      fill();
      mode(false, false);
    },

    more({ for: which, have }) {
      sendPiece(which, have);
    },

    picture(message, [blob]) {
      say_(state.running ? ui.status.textContent : "Press Dream and watch. You can stop at any time.");
      if (message.for === "guide") {
        showGuide(message, URL.createObjectURL(blob));
        if (state.form.label) { state.form.label = ""; showForm(); }
        return;
      }
      state.tried = {};
      if (ui.inputs) showLadder();
      painting(false);
      painted(false);
      if (!state.running) {
        show(ui.after, blob, `The picture to dream on: ${message.name}`);
        ui.before.removeAttribute("src");
        ui.frame.style.setProperty("--ratio", `${message.width} / ${message.height}`);
        compare(0);
        mode(false, false);
        progress(0);
        state.curve = [];
        drawCurve();
        ui.caption.textContent = [message.name, message.size, message.note].filter(Boolean).join(" · ");
      }
      const chosen = message.uploaded ? null : message.name.split(":")[0];
      for (const pick of ui.pictures.querySelectorAll("[data-name]"))
        pick.setAttribute("aria-pressed", String(pick.dataset.name === chosen));
      ui.pictures.querySelector(".own").classList.toggle("chosen", message.uploaded);
      if (message.form) {
        Object.assign(state.form, message.form);
        if (!message.form.end && message.form.model) state.form.end = current().end;
        showForm();
        const { origin, made_from: from, notes } = message;
        const begin = () => { notice(""); choose(origin); };
        notice(`This picture was dreamt from ${from}; its settings are restored. ${notes.join(" ")} `,
          ...(origin ? [h("button.plain", { type: "button", onclick: begin }, `Start again from ${origin}`)] : []));
      }
    },

    refused({ text }) {
      if (!state.running) say_("");
      notice(text);
    },

    waiting({ ahead }) {
      mode(true, false);
      say_(ahead === 1 ? "One dream is ahead of yours." : `${ahead} dreams are ahead of yours.`);
    },

    begins({ text }) {
      mode(true, false);
      progress(0);
      say_(text);
    },

    said({ text }) {
      say_(text);
    },

    begun(message, [blob]) {
      Object.assign(state, { octaves: message.octaves, iterations: message.iterations, curve: [], shown: false });
      show(ui.before, blob, `The picture before the dream: ${message.name}`);
      show(ui.after, blob, "The dream begins");
      const probe = new Image();
      probe.onload = () => ui.frame.style.setProperty("--ratio", `${probe.naturalWidth} / ${probe.naturalHeight}`);
      probe.src = ui.before.src;
      ui.caption.textContent = `${message.name} · dreamt at ${message.size} · seed ${message.seed}`;
      compare(0);
      drawCurve();
    },

    step(message, [blob]) {
      const { octave, iteration, left } = message, { octaves, iterations } = state;
      const where = `Octave ${octave + 1} of ${octaves}, iteration ${iteration + 1} of ${iterations}`;
      if (blob) {
        show(ui.after, blob, `The dream so far: ${where.toLowerCase()}`);
        ui.root.dataset.frames = String(++state.frames);
      }
      if (!state.running) return;
      ui.status.textContent = where;
      ui.left.textContent = left != null && left > 0.5 ? `${seconds(left)} left` : "";
      state.curve.push({ octave, iteration, value: message.objective });
      progress((octave * iterations + iteration + 1) / (octaves * iterations));
      drawCurve();
    },

    tried({ layer, done, all }, [blob]) {
      state.tried[`${state.form.model} ${layer}`] = URL.createObjectURL(blob);
      say_(`Layer ${done} of ${all}: ${layer}`);
      progress(done / all);
      showLadder();
    },

    ended({ how, text, seed, size, name, done }, [blob]) {
      if (blob) show(ui.after, blob, `The dream: ${name}`);
      mode(false, Boolean(blob) || state.shown);
      if (how === "done") progress(1);
      if (how === "tried") {
        say_(`${done} layers tried on this picture. Choose one, and dream.`);
        return;
      }
      say_(how === "done" ? `Done: ${size}, seed ${seed}. Drag across the picture to compare it with the one before.`
        : blob ? `Stopped: ${size}, seed ${seed}. The dream so far is kept.` : "");
      if (text && how !== "done") notice(text);
    },

    download({ name }, [blob]) {
      const type = name.endsWith(".png") ? "image/png" : "image/jpeg";
      save(new Blob([blob], { type }), name);
    },
  };

  const heard = (message, buffers) =>
    on[message.event]?.(message, buffers.map((buffer) => new Blob([buffer], { type: "image/jpeg" })));
  model.on("msg:custom", heard);
  send({ do: "open" });
  // Voilà keeps the process of a closed page for some minutes; the others in the queue should not wait for it.
  if (document.body.dataset.voila) addEventListener("pagehide", () => send({ do: "leave" }));
  return () => model.off("msg:custom", heard);
}

export default { render };
