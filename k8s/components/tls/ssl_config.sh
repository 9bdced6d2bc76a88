# bash ssl_config.sh FOLDER FILE: tls.crt and tls.key (and ca.crt) of FOLDER become FILE, a
# tensorflow.serving.SSLConfig in text form.
set -euo pipefail
umask 077
folder=$1 file=$2

# One quoted string per line; the text form joins them. Only the PEM blocks are copied, because
# remarks around them could contain quotes.
pem() {
    local line inside=
    [[ -s $folder/$1 ]] || { echo "$folder/$1 is missing or empty" >&2; return 1; }
    while IFS= read -r line || [[ -n $line ]]; do
        line=${line%$'\r'}
        [[ $line == "-----BEGIN "* ]] && inside=yes
        [[ -z $inside ]] || printf '  "%s\\n"\n' "$line"
        [[ $line == "-----END "* ]] && inside=
    done <"$folder/$1"
    return 0
}

certificate=$(pem tls.crt)
key=$(pem tls.key)
{
    printf 'server_cert:\n%s\nserver_key:\n%s\n' "$certificate" "$key"
    if [[ ${SKYMILL_CLIENT_CERTIFICATES:-no} == required ]]; then
        authority=$(pem ca.crt)
        printf 'custom_ca:\n%s\nclient_verify: true\n' "$authority"
    fi
} >"$file.new"
mv "$file.new" "$file"
