-- Sends the file named after `--` as POST, or GETs; prints the totals as one line of JSON, since
-- wrk itself prints no 95th percentile.

function init(args)
   if args[1] then
      local file = assert(io.open(args[1], "rb"))
      wrk.method, wrk.body = "POST", file:read("*a")
      file:close()
   end
end

function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format(
      '{"requests":%d,"errors":%d,"duration_us":%d,"p50_us":%.0f,"p95_us":%.0f,"p99_us":%.0f}\n',
      summary.requests, e.connect + e.read + e.write + e.status + e.timeout, summary.duration,
      latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
