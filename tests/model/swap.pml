/* Compare-and-swap of HEAD whose answer may be lost, as engine/head_io.h resolves it. Shared by log.pml
 * and head.pml.
 *
 * A request carries its base version (for the etag) and a nonce. It lands at once, later (also after
 * its sender gave up) or never; it lands only while HEAD is still at its base. `author[v]` is the nonce
 * of the write that made version v: the nonce in HEAD and, for the last WINDOW writes before it, the
 * list of parents.
 *
 * The including model defines VERSIONS, WINDOW, RESENDS, ATTEMPTS, SENDERS and apply_change(op, arg),
 * which changes HEAD in place, and, before the include, declares nothing of what stands here.
 */
#define COMMITTED 1
#define LOST 2
#define UNKNOWN 3

byte version;                     /* of HEAD */
byte author[VERSIONS];
/* A request under way, one per sender; its base is the present version, since once HEAD has moved it
 * can never land and is forgotten. */
byte late_op[SENDERS], late_nonce[SENDERS];
short late_arg[SENDERS];
hidden byte sk;

#define NONCE(me, attempt) ((me)*ATTEMPTS + (attempt) + 1)

/* HEAD moves: `who` wrote it. */
inline change_head(op, arg, who) {
  apply_change(op, arg);
  version++; author[version] = who;
  for (sk : 0 .. SENDERS-1) { late_op[sk] = 0; late_nonce[sk] = 0; late_arg[sk] = 0 }
  sk = 0
}

inline land_swap(k) {
  late_op[k] != 0 -> change_head(late_op[k], late_arg[k], late_nonce[k])
}

/* Uses of the caller: me, seen (the base), attempt (of this base), resends. Sets verdict, and `found`
 * to the version that stands there. */
inline swap_head(op, arg) {
  atomic { attempt++; verdict = 0; resends = 0 }
  do
  :: verdict == 0 ->
     atomic {                                                  /* the request */
       if
       :: version == seen ->
          change_head(op, arg, NONCE(me, attempt));
          if
          :: verdict = COMMITTED; found = version              /* answered */
          :: true                                              /* the answer is lost */
          fi
       :: version == seen ->                                   /* under way; an older one of mine is lost */
          late_op[me] = op; late_arg[me] = arg; late_nonce[me] = NONCE(me, attempt)
       :: version != seen || late_op[me] != 0                  /* refused, or lost */
       fi
     }
     atomic {                                                  /* the GET that decides */
       if
       :: verdict != 0
       :: else ->
          found = version;
          if
          :: version == seen && resends < RESENDS -> resends++
          :: version == seen && resends == RESENDS -> verdict = UNKNOWN
#if defined(NO_PARENTS)
          :: version > seen && author[version] == NONCE(me, attempt) && version == seen+1 -> verdict = COMMITTED
          :: version > seen && !(author[version] == NONCE(me, attempt) && version == seen+1) -> verdict = LOST
#else
          :: version > seen && author[seen+1] == NONCE(me, attempt) && version - seen <= WINDOW+1 -> verdict = COMMITTED
          :: version > seen && author[seen+1] != NONCE(me, attempt) && version - seen < WINDOW -> verdict = LOST
#ifdef NO_WINDOW
          :: version > seen && version - seen > WINDOW+1 -> verdict = LOST                   /* fault */
          :: version > seen && author[seen+1] != NONCE(me, attempt) && version - seen >= WINDOW && version - seen <= WINDOW+1 -> verdict = LOST
#else
          :: version > seen && author[seen+1] != NONCE(me, attempt) && version - seen >= WINDOW -> verdict = UNKNOWN
          :: version > seen && author[seen+1] == NONCE(me, attempt) && version - seen > WINDOW+1 -> verdict = UNKNOWN
#endif
#endif
          fi
       fi
     }
  :: verdict != 0 -> break
  od
}
