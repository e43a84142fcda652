-- over compares a * b > c * d exactly for a, c <= 2^30 and b, d < 2^45.
local function over(a, b, c, d)
  local x, y = a * b, c * d
  if x < 9007199254740992 and y < 9007199254740992 then return x > y end
  local limb = 4194304
  local bl, dl = b % limb, d % limb
  local xl, yl = a * bl, c * dl
  local xh, yh = a * ((b - bl) / limb) + math.floor(xl / limb), c * ((d - dl) / limb) + math.floor(yl / limb)
  if xh ~= yh then return xh > yh end
  return xl % limb > yl % limb
end
