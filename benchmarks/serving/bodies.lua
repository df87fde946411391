-- Rotates the bodies of a file, one a line, and counts answers by status where it is asked to.
-- wrk -s bodies.lua URL -- FILE [count]
local requests, at = {}, 0
statuses = ""
local counted = {}
local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   for body in io.lines(args[1]) do
      table.insert(requests, wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, body))
   end
   if args[2] then
      response = function(status)
         counted[status] = (counted[status] or 0) + 1
         local said = {}
         for code, times in pairs(counted) do
            table.insert(said, string.format('"%d": %d', code, times))
         end
         statuses = table.concat(said, ", ")
      end
   end
end

function request()
   at = at % #requests + 1
   return requests[at]
end

function done(summary, latency)
   io.write(string.format(
      '{"requests": %d, "seconds": %.6f, "p50": %.6f, "p99": %.6f, "slowest": %.6f, "connect": %d, "read": %d, '
      .. '"write": %d, "timeout": %d, "status": %d, "statuses": {%s}}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
      latency.max / 1e6, summary.errors.connect, summary.errors.read, summary.errors.write,
      summary.errors.timeout, summary.errors.status, threads[1]:get("statuses")))
end
