// SPDX-License-Identifier: Apache-2.0
// The base map of notebooks: land, water, roads and boundaries out of the page itself, on one canvas below the data.
"use strict";

// The marker that Leaflet would load as a picture, drawn.
delete L.Icon.Default.prototype._getIconUrl;
L.Icon.Default.mergeOptions({
  iconUrl: "data:image/svg+xml," + encodeURIComponent(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 25 41"><path fill="#1c6e8c" stroke="#fff" ' +
    'd="M12.5 .5a12 12 0 0 0-12 12c0 9 12 28 12 28s12-19 12-28a12 12 0 0 0-12-12z"/><circle cx="12.5" cy="12.5" r="4.5" fill="#fff"/></svg>'),
  iconRetinaUrl: null,
  shadowUrl: "data:image/svg+xml," + encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg"/>'),
});

// All that folium's popups ask of jQuery.
window.$ = window.$ || ((html) => {
  const holder = document.createElement("template");
  holder.innerHTML = html.trim();
  return [holder.content.firstElementChild];
});

window.geocloudBase = (map, layers) => {
  const pane = (name, z) => {
    const made = map.createPane(name);
    made.style.zIndex = z;
    made.style.pointerEvents = "none";
  };
  pane("gc-base", 200);
  pane("gc-lines", 450);
  pane("gc-names", 460);
  const ground = L.canvas({ pane: "gc-base", padding: 0.3 });
  const above = L.canvas({ pane: "gc-lines", padding: 0.3 });
  const styled = [];
  const add = (data, style, renderer = ground, paneName = "gc-base") => {
    const layer = L.geoJSON(data, { style: style(map.getZoom()), renderer, pane: paneName, interactive: false });
    styled.push([layer.addTo(map), style]);
  };
  // Widths that grow with the scale, as a person expects a road to.
  const width = (at10, zoom) => Math.max(0.4, at10 * 1.35 ** (zoom - 10));
  const line = (color, at10, more = {}) => (zoom) => ({ color, weight: width(at10, zoom), opacity: 1, fill: false, ...more });

  if (layers.county) {
    add(layers.county.shapes, () => ({ fillColor: "#f4f2ec", fillOpacity: 1, color: "#f4f2ec", weight: 1 }));
  }
  if (layers.water) {
    add(layers.water.shapes, () => ({ fillColor: "#c8dbe6", fillOpacity: 1, color: "#9fc0d3", weight: 0.8 }));
  }
  if (layers.river) add(layers.river.shapes, line("#9fc0d3", 1));
  for (const [kind, fill, casing, at10] of [
    ["road", "#ffffff", "#d5d2cb", 0.9],
    ["trunk", "#f1dba6", "#dfcfa4", 1.2],
    ["expressway", "#e9c46a", "#d3b465", 1.6],
  ]) {
    if (!layers[kind]) continue;
    add(layers[kind].shapes, (zoom) => ({ color: casing, weight: width(at10, zoom) + 1, opacity: 1, fill: false }));
    add(layers[kind].shapes, line(fill, at10));
  }
  if (layers.county) {
    add(layers.county.shapes, () => ({ color: "#6f7d84", weight: 1, opacity: 0.75, dashArray: "6 3 1 3", fill: false }), above, "gc-lines");
    for (const [lat, lon, name] of layers.county.names) {
      const text = document.createElement("span");
      text.textContent = name;
      const icon = L.divIcon({ className: "gc-name", html: text, iconSize: [0, 0] });
      L.marker([lat, lon], { icon, interactive: false, keyboard: false, pane: "gc-names" }).addTo(map);
    }
  }
  map.on("zoomend", () => styled.forEach(([layer, style]) => layer.setStyle(style(map.getZoom()))));
};
