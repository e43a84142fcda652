do -- one of the algorithms for all.lua
  local algorithm = {}
  function algorithm.check(key, o)
    local verdict, at, a, b, c, d
    do
      CHECK
    end
    return verdict, at, a, b, c, d
  end
  function algorithm.take(key, o, at, a, b, c, d)
    do
      TAKE
    end
    return at, a, b, c
  end
  function algorithm.refuse(key, o, verdict, d)
    REFUSE
  end
  for _, code in ipairs({CODES}) do algorithms[code] = algorithm end
end
