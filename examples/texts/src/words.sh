# Counts the words of every text of the input `texts`, without those of the input `common`, and writes to the output `words` a
# table for each text and one for all. A shell and the usual tools are all it needs, so that it runs in the smallest image.
set -eu

# One word to a line, in small letters, with how often it is there; the most frequent first.
count() {
  tr '[:upper:]' '[:lower:]' | tr -c "[:lower:]'" '\n' | grep '[a-z]' | grep -v -x -f "$PAI_INPUT_COMMON" |
    sort | uniq -c | sort -k1,1nr -k2 | awk '{ print $2 "," $1 }'
}

mkdir -p "$PAI_OUTPUT_WORDS/texts"
number=0
for text in "$PAI_INPUT_TEXTS"/*.txt; do
  number=$((number + 1))
  name=$(basename "$text" .txt)
  count <"$text" >"$PAI_OUTPUT_WORDS/texts/$name.csv"
  echo "text $number $name: words=$(wc -l <"$PAI_OUTPUT_WORDS/texts/$name.csv")"
done
cat "$PAI_INPUT_TEXTS"/*.txt | count >"$PAI_OUTPUT_WORDS/all.csv"
echo "the ${PAI_HPS_TOP:-5} most frequent of $number texts:"
head -n "${PAI_HPS_TOP:-5}" "$PAI_OUTPUT_WORDS/all.csv"
