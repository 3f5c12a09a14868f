// SPDX-License-Identifier: Apache-2.0
// What of the sectors' panel stands in the page's address: the function, its inputs, its job.

export const KEYS = { at: "sector", inputs: "sector.in", job: "sector.job" };
