;; attack: 55
;; tries: to show the reviewer other words than stand in the file: a line separator, an Arabic letter mark, a tag letter
;; layer: a text has no character that shows nothing or moves its neighbours
;; without: the artefacts' form
;; verdict: failed
;; room: outer
(data (i32.const 3950) "b.md" "safe\e2\80\a8\d8\9c\f3\a0\81\81")
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (call $ok))
(func $updated (param $columns i32) (result i32) (call $state (i32.const 3905) (i32.const 4)))
(func $composed (param $columns i32) (result i32)
  (call $fine)
  (if (i64.eq (call $cleared (local.get $columns)) (i64.const 1))
    (then (call $artefact (i32.const 3950) (i32.const 4) (i32.const 3954) (i32.const 13))))
  (call $report))
