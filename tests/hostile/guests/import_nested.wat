;; attack: import
;; tries: to hide an import of the host in a component within
;; layer: a guest imports nothing; an inner import is met from within or is not valid
;; without: inspection
;; verdict: refused guest.import
(component
  (import "host" (func $host))
  (component $inner (import "host" (func)))
  (instance (instantiate $inner (with "host" (func $host)))))
