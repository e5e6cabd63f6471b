import http from 'k6/http';
export const options = { scenarios: { load: { executor: 'shared-iterations', vus: 4, iterations: 400, maxDuration: '30s' } } };
export function setup() { http.get(__ENV.URL); }
export default function () { http.get(__ENV.URL, { timeout: '250ms' }); }
