// SPDX-License-Identifier: Apache-2.0
// Types that the modules of the map share; nothing here runs.

/**
 * @typedef {{zh: string, en: string}} Text
 *
 * @typedef {object} Field An attribute of a layer.
 * @property {string} name
 * @property {"text" | "integer" | "number" | "boolean" | "date" | "datetime"} type
 * @property {Text} title
 * @property {Text} [description]
 * @property {string} [unit] As people write it: m², °C.
 * @property {string} [codes] Name of a list in `Catalogue.codes`.
 * @property {boolean} queryable Whether a filter may name it.
 *
 * @typedef {object} Layer What `/map/layers` says of a layer.
 * @property {string} id
 * @property {string} theme
 * @property {Text} title
 * @property {Text} description
 * @property {string[]} keywords
 * @property {string} geometry
 * @property {string[]} key
 * @property {Field[]} fields
 * @property {string | null} label Field that names a feature.
 * @property {string | null} colorBy Field whose codes colour it.
 * @property {string} color
 * @property {{minZoom: number, maxZoom: number, overview: string, overviewBelow: number}} tiles
 * @property {number | null} count Features, null where it depends on the date.
 * @property {[number, number, number, number] | null} extent
 * @property {boolean} synthetic
 * @property {boolean} hasTime
 * @property {string | null} updated
 * @property {boolean} editable
 * @property {{title: Text, licence: string, synthetic: boolean, url?: string, licenceUrl?: string}[]} sources
 * @property {string} items Path of its features.
 * @property {string} legend Path of its legend.
 *
 * @typedef {object} Catalogue
 * @property {Text} city
 * @property {Text} service
 * @property {[number, number, number, number] | null} extent
 * @property {{id: string, title: Text, layers: string[]}[]} themes
 * @property {Record<string, Layer>} layers
 * @property {Record<string, {code: string, title: Text}[]>} codes
 *
 * @typedef {object} Tool A button of the tool strip.
 * @property {string} id
 * @property {string} icon SVG path data on a 24 by 24 grid, drawn with a 1.6 stroke.
 * @property {() => string} label
 * @property {(on: boolean) => void} toggle Called when the button is pressed; one tool is on at a time.
 * @property {boolean} [clicks] False: clicks on the map still identify while the tool is on.
 * @property {(event: any) => boolean} [claims] Whether it keeps this one click, on something it has drawn.
 * @property {"top"} [place] Beside the switches of language and theme, not in the strip.
 *
 * @typedef {object} App What tools work with.
 * @property {any} maplibre The library's module (Map, Marker, Popup, LngLatBounds, …).
 * @property {any} map The map.
 * @property {Catalogue} catalogue
 * @property {Map<string, Layer>} layers
 * @property {import("./state.js").State} state Every key is in the address bar.
 * @property {import("./i18n.js").Words} words Numbers, areas, lengths and dates in the language of the screen.
 * @property {(zh: string, en: string) => string} t
 * @property {"zh" | "en"} lang
 * @property {boolean} dark
 * @property {(path: string) => string} url Address of a path of this service.
 * @property {(event: "ready" | "lang" | "theme" | "layers" | "select" | "time" | "refresh" | "panel" | "readings", fn: (data: any) => void) => () => void} on
 * @property {(event: string, data?: any) => void} emit
 * @property {() => string[]} visible Ids of visible layers in drawing order, the lowest first.
 * @property {{add: (tool: Tool) => {on: () => void, off: () => void, button: HTMLButtonElement}, active: () => string | null, off: () => void, takesClicks: (event?: any) => boolean, keep: (fn: (event: any) => boolean) => void, kept: (event?: any) => boolean}} strip
 *   `keep` is for what is drawn by no tool of the strip and keeps clicks on it.
 * @property {{show: (card: {id: string, title: string, body: HTMLElement, last?: boolean, onclose?: () => void}) => void, close: (id?: string) => void}} inspector
 * @property {{search: HTMLElement, timebar: HTMLElement, print: HTMLElement}} slots
 * @property {(text: string) => void} announce Says a text to screen readers.
 * @property {(problem: unknown, heading?: string) => void} problem Shows an error in words.
 * @property {(url: string, init?: RequestInit) => Promise<any>} fetchJSON Rejects with problem details.
 * @property {(iso: string | null) => void} setDate
 * @property {(map: any, options?: {layers?: string[], date?: string | null}) => Promise<() => void>} styleFor
 * @property {import("./view.js").MapView} view
 * @property {{set: (zh: string, en: string) => void}} [table]
 * @property {{has: (id: string) => boolean, card: (id: string, fid: string) => HTMLElement, control: (id: string) => HTMLElement}} [readings]
 *   Of layers with datastreams, once it is known which these are.
 * @property {{map: any, at: (x: number) => Side | null}} [split] The second map, and the side a pixel lies on.
 *
 * @typedef {{map: any, layers: string[], date: string | null}} Side What is shown beyond the divider of a split view.
 */

export {};
