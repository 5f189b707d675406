#include "cli/demo_texts.h"

namespace varve::cli {

std::vector<text::Document> demo_texts() {
  return {
      {"varves.md",
       "# Varves\n\nA varve is a pair of thin layers of sediment that a lake lays down in one "
       "year: "
       "a pale one of silt in summer, when rivers of melt water run, and a dark one of clay in "
       "winter, when the lake is frozen and only the finest grains sink.\n\n"
       "Counting varves dates the bottom of a lake year by year, like the rings of a tree. Swedish "
       "clay was counted back more than thirteen thousand years.\n"},
      {"backups.md",
       "# Notes on backups\n\nWe decided to keep three copies of everything, on two kinds of "
       "media, "
       "one of them in another building.\n\nA backup that was never restored is a hope. Restore "
       "one "
       "at random each month and compare its checksums.\n"},
      {"bread.md",
       "# Rye bread\n\nFeed the sourdough with rye flour and lukewarm water in the evening. In the "
       "morning add salt, caraway and the rest of the flour.\n\nBake it for an hour, the first ten "
       "minutes as hot as the oven goes, and let it rest for a day before you cut it.\n"},
      {"nearest.md",
       "# Nearest neighbours\n\nText, pictures and sounds become vectors: lists of numbers in "
       "which "
       "likeness turns into nearness. To search is to find the vectors nearest to that of the "
       "question.\n\nComparing with every vector is exact and slow. Grouping them into clusters "
       "and "
       "visiting only the clusters near the question misses little and is many times faster.\n"},
      {"tides.md",
       "# Tides\n\nThe moon pulls the near side of the sea more than the earth and the earth more "
       "than the far side, so that water rises on both. The turning earth meets two high tides a "
       "day.\n\nWhen sun and moon pull in one line, at new and full moon, spring tides follow.\n"},
      {"bicycle.md",
       "# A flat tyre\n\nTake the wheel out and lift one side of the tyre over the rim with two "
       "levers. Pull the tube out, pump it up and listen for the hole.\n\nRoughen the place with "
       "sandpaper, spread glue thinly, wait until it is dry to the touch and press the patch "
       "on.\n"},
      {"bees.md",
       "# Bees in winter\n\nHoney bees do not sleep through the winter. They form a ball around "
       "the "
       "queen, shiver to keep warm and eat the honey of the summer.\n\nBeekeepers leave the hive "
       "in "
       "peace when it is cold; a knock makes the colony roar and burn its stores.\n"},
      {"object-storage.md",
       "# Object storage\n\nA bucket keeps whole objects under names. It is cheap, it loses "
       "nothing, "
       "and each request takes tens of milliseconds and costs money.\n\nSo the art is to ask "
       "seldom: write in batches, read in ranges, and keep what is asked for often close by.\n"},
  };
}

}  // namespace varve::cli
