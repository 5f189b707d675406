/* The log: slots by create-once, seals, take-over, fold, collection, and a HEAD whose
 * compare-and-swap may lose its answer or land late. README.md says what is abstracted.
 *
 * Checked in every reachable state:
 *   Durable  an acknowledged batch is folded, or a scan from the fold pointer finds it;
 *   Strong   a strong read returns every batch that was acknowledged before it began: one by a node
 *            that does not own the index (Reader), and one by an owner that saw its epoch in HEAD;
 *   Own      no foreign batch ever stands in a slot of a writer's own epoch.
 */
#ifndef EPOCHS
#define EPOCHS 3      /* epochs 0 .. EPOCHS-1 */
#endif
#ifndef SLOTS
#define SLOTS 3       /* slots per epoch; the last one takes only a seal */
#endif
#ifndef BATCHES
#define BATCHES 2     /* batch ids 1 .. BATCHES; an id stands for the nonce in the bytes */
#endif
#ifndef TRIES
#define TRIES 1       /* how often a PUT of unknown outcome is sent again */
#endif
#ifndef RESENDS
#define RESENDS 0     /* how often a compare-and-swap of unknown outcome is sent again */
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2    /* changes that one writer tries on one version of HEAD, less one */
#endif
#define VERSIONS 10
#define WINDOW 8
#define SENDERS 2
#define SEAL 100
#define AT(e,s) slot[(e)*SLOTS+(s)]
#define BIT(b) (1<<(b))

byte slot[EPOCHS*SLOTS];          /* 0 empty, SEAL, or a batch id */
byte epoch, fold_e, fold_s;       /* HEAD */
byte folded;                      /* what the manifest of HEAD holds: a set of batch ids */
byte acked;
byte next_batch = 1;
/* A PUT of a slot that is under way, one per writer: it lands at any time, or never. */
byte late_at[2], late_val[2];

#define FOLD 1
#define TAKE 2
#define OPEN 3
#define FOLD_ARG(e, s, set) (((e)<<7) | ((s)<<4) | (set))

inline apply_change(op, arg) {
  if
  :: op == FOLD -> fold_e = arg >> 7; fold_s = (arg >> 4) & 7; folded = arg & 15
  :: op == TAKE -> epoch++
  :: op == OPEN
  fi
}

#include "swap.pml"

/* One PUT of value `w` into slot `i`. `ok`: created, and we know it. `exists`: refused, and we know it.
 * Neither: no answer; the PUT may have landed, may land later, may be lost. */
inline put_once(i, w) {
  atomic {
    ok = false; exists = false;
    if
    :: slot[i] == 0 -> slot[i] = w; ok = true
    :: slot[i] == 0 -> slot[i] = w                             /* the answer is lost */
    :: slot[i] != 0 -> exists = true
    :: true -> late_at[me] = i; late_val[me] = w               /* under way; an older one of mine is lost */
    :: late_val[me] != 0                                       /* lost */
    fi
  }
}

inline land_put(k) {
  late_val[k] != 0 ->
  if :: slot[late_at[k]] == 0 -> slot[late_at[k]] = late_val[k] :: else fi;
  late_val[k] = 0; late_at[k] = 0
}

proctype Network() {
end: do
  :: atomic { land_put(0) }
  :: atomic { land_put(1) }
  :: atomic { land_swap(0) }
  :: atomic { land_swap(1) }
  od
}

/* `mine`: its epoch. `seq`: its next slot. `seen`: the version of HEAD that it holds; `base`: what is
 * folded there. `known`: what it has in its tail. `to_e`, `to_s`: below this it collects. */
proctype Writer(byte me; bool owner) {
  byte mine, seq, seen, b, e, s, tries, to_e, to_s, known, base;
  byte attempt, resends, verdict, found;
  bool ok, exists, any;
loop:
end: do
  :: atomic { owner && next_batch <= BATCHES && seq < SLOTS-1 -> b = next_batch; next_batch++;
#ifdef EARLY_ACK
              acked = acked | BIT(b)                           /* fault */
#endif
     }
put:
     put_once(mine*SLOTS+seq, b);
     atomic {
       if
       :: ok
#ifdef NO_NONCE
       :: exists                                               /* fault: it exists, so it must be mine */
       :: !ok && !exists ->
#else
       :: !ok ->
#endif
          if                                                   /* the GET of the slot decides */
          :: AT(mine,seq) == b
          :: AT(mine,seq) == SEAL -> owner = false; b = 0; tries = 0; ok = false; exists = false; goto loop   /* fenced */
          :: AT(mine,seq) == 0 && tries < TRIES -> tries++;
#ifdef NEXT_SLOT
             if :: seq < SLOTS-2 -> seq++ :: else fi;          /* fault: the same batch into another slot */
#endif
             goto put
          :: AT(mine,seq) == 0 && tries == TRIES -> owner = false; b = 0; tries = 0; ok = false; exists = false; goto loop   /* unknown: the lane closes */
          :: AT(mine,seq) != 0 && AT(mine,seq) != SEAL && AT(mine,seq) != b -> assert(false)                  /* Own */
          fi
       fi;
       acked = acked | BIT(b); known = known | BIT(b); seq++; b = 0; tries = 0; ok = false; exists = false
     }

  :: atomic { owner && epoch == mine -> assert((acked & ~(base | known)) == 0) }     /* Strong, at the owner */

  :: atomic { owner && seen != version ->                      /* GET HEAD */
       attempt = 0; seen = version;
       if
       :: epoch == mine -> base = folded; known = known & ~folded
       :: else -> owner = false
       fi
     }

  :: owner && known != 0 && attempt < ATTEMPTS-1 ->            /* fold */
#ifdef BLIND_FOLD
     atomic { version++; seen = version; found = version; verdict = COMMITTED;    /* fault: HEAD written without its condition */
              apply_change(FOLD, FOLD_ARG(mine, seq, base | known)) }
#else
     swap_head(FOLD, FOLD_ARG(mine, seq, base | known));
#endif
     atomic {
       if
#ifdef GC_ON_UNKNOWN
       :: verdict != LOST ->                                   /* fault: as if it had been committed */
#else
       :: verdict == COMMITTED ->
#endif
          to_e = mine; to_s = seq; base = base | known; known = 0
       :: else -> verdict = 0; found = 0; goto loop            /* lost or unknown: keep everything, look again */
       fi;
       verdict = 0; found = 0
     }
     do                                                        /* collect what is below the fold; may stop anywhere */
     :: atomic { e < to_e || (e == to_e && s < to_s) ->
#ifdef GC_SEALS
          AT(e,s) = 0;                                         /* fault */
#else
          if :: AT(e,s) != SEAL -> AT(e,s) = 0 :: else fi;
#endif
          s++; if :: s == SLOTS -> s = 0; e++ :: else fi }
     :: atomic { e = 0; s = 0; to_e = 0; to_s = 0; break }
     od

  :: atomic { !owner && epoch < EPOCHS-1 && (seen != version || attempt < ATTEMPTS-1) ->   /* take over: GET HEAD */
       if :: seen != version -> attempt = 0; seen = version :: else fi;
       mine = epoch+1; e = fold_e; s = fold_s; base = folded; known = 0; seq = 0 }
     swap_head(TAKE, 0);
     atomic {
       if
       :: verdict == COMMITTED ->
          /* Found among the parents, it may have been overtaken: the epoch is the one it wrote. */
          if
#ifdef ADOPT_PARENT
          :: found != seen+1 -> mine = epoch                   /* fault: takes the epoch of the HEAD it read */
#else
          :: found != seen+1 && epoch != mine ->
             seen = found; attempt = 0; verdict = 0; found = 0; e = 0; s = 0; goto loop
#endif
          :: else
          fi;
          seen = found; attempt = 0; verdict = 0; found = 0
       :: else -> verdict = 0; found = 0; e = 0; s = 0; goto loop
       fi
     }
     do                                                        /* seal and replay, from the fold pointer up */
     :: e < mine ->
        atomic {
          if
          :: AT(e,s) == SEAL -> e++; s = 0
          :: AT(e,s) != SEAL && AT(e,s) != 0 -> known = known | BIT(AT(e,s)); s++
          :: AT(e,s) == 0 -> any = true
          fi
        }
        if
        :: any -> any = false;
#ifdef NO_SEAL
           atomic { e++; s = 0 }                               /* fault */
#else
           put_once(e*SLOTS+s, SEAL); atomic { ok = false; exists = false }    /* then look again: the GET decides */
#endif
        :: else
        fi
     :: e == mine -> break
     od;
     swap_head(OPEN, 0);
     atomic {
       e = 0; s = 0;
       if
       :: verdict == COMMITTED && (found == seen+1 || epoch == mine) -> seen = found; attempt = 0; owner = true
       :: else                                                 /* overtaken, or not known: take over once more */
       fi;
       verdict = 0; found = 0
     }
  od
}

proctype Reader() {
  byte before, got, e, s, held;
  atomic { before = acked }
again:
  atomic { held = version; e = fold_e; s = fold_s; got = folded }
  do
  :: atomic {
       e < EPOCHS ->
       if
       :: AT(e,s) == SEAL -> e++; s = 0
       :: AT(e,s) == 0 -> break
       :: AT(e,s) != 0 && AT(e,s) != SEAL -> got = got | BIT(AT(e,s)); s++
       fi
     }
  :: e == EPOCHS -> break
  od;
#ifndef TRUST_404
  if
  :: held != version -> goto again                             /* an empty slot ends the log only while HEAD stands */
  :: else
  fi;
#endif
  assert((before & ~got) == 0)
}

/* Changes no state, so it costs steps and no states. */
proctype Monitor() {
  byte e, s, got;
end: do
  :: d_step {
       got = folded; e = fold_e; s = fold_s;
       do
       :: e < EPOCHS && AT(e,s) == SEAL -> e++; s = 0
       :: e < EPOCHS && AT(e,s) != SEAL && AT(e,s) != 0 -> got = got | BIT(AT(e,s)); s++
       :: else -> break
       od;
       assert((acked & ~got) == 0);
       e = 0; s = 0; got = 0
     }
  od
}

init { atomic {
  run Network(); run Writer(0, true); run Writer(1, false);
#ifdef READER
  run Reader();
#endif
#ifndef NO_MONITOR
  run Monitor();
#endif
} }
