-- Health of every kind of federation.nexus.io for Argo CD: what Ready, Stalled and Reconciling say (kstatus).
local function condition(status, kind)
  for _, each in ipairs(status.conditions or {}) do
    if each.type == kind then return each end
  end
  return nil
end

local function health(name, each, otherwise)
  local message = otherwise
  if each ~= nil and each.message ~= nil and each.message ~= "" then
    message = (each.reason or "") .. ": " .. each.message
  end
  return { status = name, message = message }
end

local status = obj.status
if status == nil or status.conditions == nil then
  return health("Progressing", nil, "The operator has not looked at it yet.")
end
if status.observedGeneration ~= nil and status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", nil, "The operator has not looked at this change yet.")
end
local stalled = condition(status, "Stalled")
if stalled ~= nil and stalled.status == "True" then
  return health("Degraded", stalled, "It cannot go on by itself.")
end
local ready = condition(status, "Ready")
if ready ~= nil and ready.status == "True" then
  return health("Healthy", nil, "It is as declared.")
end
if ready ~= nil and (ready.reason == "Hibernated" or ready.reason == "Fenced" or ready.reason == "Retired") then
  return health("Suspended", ready, "It is stopped on purpose.")
end
local reconciling = condition(status, "Reconciling")
if reconciling ~= nil and reconciling.status == "True" then
  return health("Progressing", reconciling, "The operator is at work.")
end
if ready ~= nil and ready.status == "False" then
  return health("Degraded", ready, "It is not ready.")
end
return health("Progressing", ready, "It is not known yet whether it is ready.")
