;; attack: import
;; tries: to import a component
;; layer: a guest imports nothing; inspected before it is compiled
;; without: nothing: the engine refuses it too
;; verdict: refused guest.import
(component (type u32) (import "c" (component (export "f" (func)))))
