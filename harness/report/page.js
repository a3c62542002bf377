"use strict";
// Shows the numbers under the pointer, and zooms in on a part of the run. The page needs
// it for nothing else.
(() => {
	const svg = document.getElementById("timeline");
	const frame = svg.parentElement;
	const cursor = document.getElementById("cursor");
	const readout = document.getElementById("readout");
	const data = JSON.parse(document.getElementById("columns").textContent);
	const left = Number(svg.dataset.left), right = Number(svg.dataset.right);
	const whole = Number(svg.dataset.seconds);
	const width = svg.viewBox.baseVal.width;
	let from = 0, to = whole;

	// Where everything is when the whole run is shown.
	const items = [...svg.querySelectorAll(".tz > *")].map((element) => {
		const names = { line: ["x1", "x2"], path: [] }[element.tagName] || ["x"];
		return {
			element, names,
			at: names.map((name) => Number(element.getAttribute(name))),
			wide: element.tagName === "rect" ? Number(element.getAttribute("width")) : 0,
		};
	});

	const make = (tag, attributes, text) => {
		const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
		for (const name in attributes) element.setAttribute(name, attributes[name]);
		if (text !== undefined) element.textContent = text;
		return element;
	};

	function ticks() {
		let step = 1e-3;
		for (let i = 0; (to - from) / step > 12; i++) step *= [2, 2.5, 2][i % 3];
		const at = [];
		for (let n = Math.ceil(from / step); n * step <= to + step / 1e3; n++) at.push(Number((n * step).toFixed(3)));
		return at;
	}

	const place = (second) => left + (second - from) / (to - from) * (right - left);

	function show(newFrom, newTo) {
		from = Math.max(0, newFrom);
		to = Math.min(whole, newTo);
		const scale = whole / (to - from);
		const shift = left - (left + from / whole * (right - left)) * scale;
		for (const { element, names, at, wide } of items) {
			names.forEach((name, i) => element.setAttribute(name, (at[i] * scale + shift).toFixed(1)));
			if (wide) element.setAttribute("width", (wide * scale).toFixed(1));
			if (!names.length) element.setAttribute("transform", `translate(${shift} 0) scale(${scale} 1)`);
		}
		for (const group of svg.querySelectorAll(".ticks")) {
			group.replaceChildren(...ticks().map((t) => make("text", { x: place(t).toFixed(1), y: group.dataset.y, class: "tick mid" }, t + " s")));
		}
		for (const group of svg.querySelectorAll(".gridx")) {
			group.replaceChildren(...ticks().map((t) => make("line", {
				x1: place(t).toFixed(1), x2: place(t).toFixed(1), y1: group.dataset.top, y2: group.dataset.bottom, class: "grid",
			})));
		}
		for (const button of buttons) {
			button.element.setAttribute("aria-pressed", Math.abs(button.from - from) < 1e-3 && Math.abs(button.to - to) < 1e-3);
		}
	}

	const zooms = document.getElementById("zooms");
	const buttons = [{ name: "whole run", from: 0, to: whole }, ...data.zooms].map((part) => {
		const element = document.createElement("button");
		element.type = "button";
		element.textContent = part.name;
		element.setAttribute("aria-pressed", part.to === whole && part.from === 0);
		element.addEventListener("click", () => show(part.from, part.to));
		zooms.append(element);
		return { element, from: part.from, to: part.to };
	});
	zooms.hidden = false;
	document.getElementById("zoomhint").hidden = false;
	frame.classList.add("ready");

	// Pointer positions: in the frame's pixels, and as seconds of the run.
	const pixel = (event) => event.clientX - frame.getBoundingClientRect().left;
	const toPixel = (x) => x / width * frame.clientWidth;
	const inside = (p) => Math.min(Math.max(p, toPixel(left)), toPixel(right));
	const second = (p) => from + (p / frame.clientWidth * width - left) / (right - left) * (to - from);

	const time = (us) => us >= 1e6 ? (us / 1e6).toPrecision(3) + " s" : us >= 1e3 ? (us / 1e3).toPrecision(3) + " ms" : us + " us";

	function describe(at) {
		const index = Math.min(Math.floor(at / data.perColumn), data.columns.length - 1);
		const column = data.columns[index];
		const lines = [at.toFixed(to - from < 20 ? 2 : 1) + " s"];
		data.classes.forEach((name, i) => {
			const [sent, lost, p50, p99] = column[i];
			if (!sent) return;
			lines.push(name + ": " + sent + " due" + (lost ? ", " + lost + " lost" : "") + (p99 ? ", p50 " + time(p50) + ", p99 " + time(p99) : ""));
		});
		return lines.join("\n");
	}

	let begin = null; // of a drag, in pixels
	function point(event) {
		const p = pixel(event);
		if (begin === null && (p < toPixel(left) || p > toPixel(right))) return leave();
		const at = inside(p);
		cursor.hidden = false;
		cursor.classList.toggle("drag", begin !== null);
		cursor.style.left = (begin === null ? at : Math.min(begin, at)) + "px";
		cursor.style.width = (begin === null ? 1 : Math.max(1, Math.abs(at - begin))) + "px";
		readout.hidden = false;
		readout.textContent = begin === null ? describe(second(at)) : second(Math.min(begin, at)).toFixed(2) + " s to " + second(Math.max(begin, at)).toFixed(2) + " s";
		// Beside the pointer, on the side that has room, and above the pods' marks, which
		// have their own tooltips.
		const room = at < frame.clientWidth / 2;
		readout.style.left = (room ? at + 14 : at - 14 - readout.offsetWidth) + "px";
		readout.style.top = "26px";
	}
	function leave() {
		if (begin !== null) return;
		cursor.hidden = readout.hidden = true;
	}
	frame.addEventListener("pointermove", (event) => { if (event.pointerType !== "touch") point(event); });
	frame.addEventListener("pointerleave", leave);
	frame.addEventListener("pointerdown", (event) => {
		const p = pixel(event);
		if (event.button !== 0 || event.pointerType === "touch" || p < toPixel(left) || p > toPixel(right)) return;
		begin = p;
		frame.classList.add("drag");
		frame.setPointerCapture(event.pointerId);
		event.preventDefault();
	});
	frame.addEventListener("pointerup", (event) => {
		if (begin === null) return;
		const a = Math.min(begin, inside(pixel(event))), b = Math.max(begin, inside(pixel(event)));
		begin = null;
		frame.classList.remove("drag");
		// A short drag is a click with an unsteady hand, and in less than 50 ms there is
		// nothing to see.
		if (b - a > 6 && second(b) - second(a) > 0.05) show(second(a), second(b));
		leave();
	});
	frame.addEventListener("pointercancel", () => { begin = null; frame.classList.remove("drag"); leave(); });
	frame.addEventListener("dblclick", () => show(0, whole));
})();
