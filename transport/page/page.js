// Keeps the page up to date. HTML is made by the service alone: this script asks for the
// page again and takes over what is different.
(() => {
	"use strict";
	const oldest = 10000; // ms: ages and the latest checks are no changes in the event stream
	const least = 1000; // ms between two requests for the page, however much changes
	const main = document.getElementById("main");
	const root = document.documentElement;
	const said = document.getElementById("said");
	let asked = 0, timer = 0, running = null, again = false, streaming = null, following = false;

	const say = (state, text) => {
		root.classList.remove("live", "lost");
		if (state) root.classList.add(state);
		if (said.textContent !== text) said.textContent = text;
	};

	// morph makes a like b, and leaves alone what is the same: focus, what is open, what is
	// selected and where the page is scrolled to.
	const morph = (a, b) => {
		if (a.isEqualNode(b)) return;
		if (a.nodeType !== b.nodeType || a.nodeName !== b.nodeName) {
			a.replaceWith(document.adoptNode(b));
			return;
		}
		if (a.nodeType !== Node.ELEMENT_NODE) {
			a.nodeValue = b.nodeValue;
			return;
		}
		for (const { name } of [...a.attributes]) {
			if (!b.hasAttribute(name) && name !== "open") a.removeAttribute(name);
		}
		for (const { name, value } of [...b.attributes]) {
			if (a.getAttribute(name) === value) continue;
			if (name === "data-mark" && a.hasAttribute(name)) flash(a);
			a.setAttribute(name, value);
		}
		if (a.nodeName === "TR" && flashing.has(a)) a.classList.add("changed");
		if (b.dataset && b.firstElementChild && b.firstElementChild.dataset.key) keyed(a, b);
		else {
			const now = [...b.childNodes];
			while (a.childNodes.length > now.length) a.lastChild.remove();
			now.forEach((child, i) => i < a.childNodes.length ? morph(a.childNodes[i], child) : a.append(document.adoptNode(child)));
		}
	};
	const keyed = (a, b) => {
		const known = new Map([...a.children].map(row => [row.dataset.key, row]));
		let at = a.firstElementChild;
		for (const row of [...b.children]) {
			const old = known.get(row.dataset.key);
			known.delete(row.dataset.key);
			if (!old) {
				const fresh = document.adoptNode(row);
				a.insertBefore(fresh, at);
				flash(fresh);
				continue;
			}
			if (old === at) at = at.nextElementSibling;
			else a.insertBefore(old, at);
			morph(old, row);
		}
		for (const row of known.values()) {
			if (row === at) at = at.nextElementSibling;
			row.remove();
		}
	};
	const flashing = new Set();
	const flash = row => {
		row.classList.add("changed");
		flashing.add(row);
		setTimeout(() => {
			flashing.delete(row);
			row.classList.remove("changed");
		}, 2600);
	};

	// load gets the page at an address. The explanation stays unless it is asked for: it may
	// take requests to the cluster.
	const load = async (address, explain) => {
		running?.abort();
		const own = running = new AbortController();
		clearTimeout(timer);
		again = false;
		asked = Date.now();
		try {
			const response = await fetch(address, { headers: { Accept: "text/html" }, cache: "no-store", signal: own.signal });
			if (!response.ok) {
				const problem = await response.json().catch(() => ({}));
				throw new Error(problem.detail || "The service answered " + response.status);
			}
			const next = new DOMParser().parseFromString(await response.text(), "text/html");
			const from = next.getElementById("main");
			if (!from) throw new Error("Something else than the service has answered");
			if (!explain) from.querySelector("#explanation").replaceWith(document.getElementById("explanation").cloneNode(true));
			morph(main, from);
			if (explain) document.title = next.title;
			if (streaming) say("live", "live");
			return true;
		} catch (error) {
			if (error.name !== "AbortError") say("lost", error instanceof TypeError ? "no connection" : error.message);
			return false;
		} finally {
			if (running === own) {
				running = null;
				soon(again ? 0 : oldest);
			}
		}
	};
	const here = () => {
		const query = new URLSearchParams(location.search);
		query.delete("explain");
		return "?" + query;
	};
	const soon = wait => {
		if (running) {
			again = true; // it may have been answered before this change
			return;
		}
		clearTimeout(timer);
		timer = setTimeout(() => document.hidden || load(here(), false), Math.max(wait, asked + least - Date.now()));
	};

	// follow reads the event stream from the change on that the page shows, so that neither
	// is a change missed nor the whole list sent. It ends when nobody looks at the page.
	const follow = async () => {
		if (following) return;
		following = true;
		for (let pause = 1000; !document.hidden; pause = Math.min(2 * pause, 30000)) {
			streaming = new AbortController();
			try {
				const response = await fetch("api/v1/toolsets/watch", { headers: { Accept: "text/event-stream", "Last-Event-ID": main.dataset.event }, cache: "no-store", signal: streaming.signal });
				if (!response.ok) throw new Error();
				const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
				say("live", "live");
				for (pause = 1000; ;) {
					const { done, value } = await reader.read();
					if (done) break;
					if (value.replace(/^:.*\n/gm, "").trim()) soon(0); // heartbeats are comments
				}
			} catch {
				// It is tried again; load tells if there is no connection at all.
			}
			streaming = null;
			if (!root.classList.contains("lost")) say("", "updated every " + oldest / 1000 + " s");
			await new Promise(done => setTimeout(done, pause));
		}
		following = false;
	};
	document.addEventListener("visibilitychange", () => {
		if (document.hidden) return void streaming?.abort();
		soon(0);
		follow();
	});

	// Filters work at once, and an explanation is shown in the page.
	const go = async (address, explain) => {
		history.pushState(null, "", address);
		return load(explain ? address : here(), explain);
	};
	const filter = document.getElementById("filter");
	const filtered = () => {
		const query = new URLSearchParams([...new FormData(document.getElementById("filter"))].filter(([, value]) => value));
		return query.size ? "?" + query : location.pathname;
	};
	let typing = 0;
	main.addEventListener("change", event => event.target.form?.id === "filter" && event.target.matches("select") && go(filtered(), false));
	main.addEventListener("input", event => {
		if (event.target.form?.id !== "filter" || !event.target.matches("input")) return;
		clearTimeout(typing);
		typing = setTimeout(() => go(filtered(), false), 300);
	});
	main.addEventListener("submit", event => {
		event.preventDefault();
		clearTimeout(typing);
		go(filtered(), false);
	});
	const explain = async address => {
		if (!await go(address, true)) return;
		const heading = document.getElementById("explained");
		heading?.scrollIntoView({ block: "nearest" });
		heading?.focus();
	};
	document.getElementById("explain")?.addEventListener("submit", event => {
		event.preventDefault();
		const query = new URLSearchParams(location.search);
		query.set("explain", document.getElementById("service").value.trim());
		explain("?" + query);
	});
	main.addEventListener("click", event => {
		const link = event.target.closest("a.why, a.close");
		if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
		event.preventDefault();
		const query = new URLSearchParams(location.search);
		query.delete("explain");
		const wanted = new URL(link.href).searchParams.get("explain");
		if (wanted) query.set("explain", wanted);
		const address = query.size ? "?" + query : location.pathname;
		if (wanted) {
			document.getElementById("service").value = wanted;
			explain(address);
		} else go(address, true);
	});
	addEventListener("popstate", () => location.reload());

	follow();
	soon(oldest);
})();
